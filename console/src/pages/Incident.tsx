export default function Incident({ params }: { params: { id: string } }) {
  return <h1>{params.id}</h1>;
}
