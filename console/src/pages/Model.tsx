export default function Model({ params }: { params: { id: string } }) {
  return <h1>{params.id}</h1>;
}
