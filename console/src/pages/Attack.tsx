export default function Attack() {
  return <h1>ATT&amp;CK</h1>;
}
