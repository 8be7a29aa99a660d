export default function Host({ params }: { params: { id: string } }) {
  return <h1>{params.id}</h1>;
}
