export default function Health() {
  return <h1>Health and jobs</h1>;
}
