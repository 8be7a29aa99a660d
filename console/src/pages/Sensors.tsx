export default function Sensors() {
  return <h1>Sensors</h1>;
}
