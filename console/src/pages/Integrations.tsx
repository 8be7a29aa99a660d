export default function Integrations() {
  return <h1>Integrations</h1>;
}
