export default function Users() {
  return <h1>Users and keys</h1>;
}
