/** Moves a large picture as it was drawn while it is dragged, and has it drawn anew where it comes to rest. */
import type Sigma from "sigma";

type Point = { x: number; y: number };
type Drawn = Pick<Sigma, "getMouseCaptor" | "getContainer" | "getCamera" | "viewportToFramedGraph" | "once">;

/** Take over the drags of pictures that take longer to draw than a frame lasts; begins anew with each of them. */
export function dragAsDrawn(sigma: Drawn, isLarge: () => boolean): void {
  let from: Point | null = null;
  let to: Point = { x: 0, y: 0 };
  const shift = (text: string) => {
    const stage = sigma.getContainer().querySelector("canvas");
    if (stage) stage.style.transform = text;
  };
  const captor = sigma.getMouseCaptor();
  captor.on("mousedown", ({ x, y, original }) => {
    if ((original as MouseEvent).button === 0 && isLarge()) from = to = { x, y };
  });
  captor.on("mousemovebody", (event) => {
    if (!from) return;
    event.preventSigmaDefault();
    to = { x: event.x, y: event.y };
    shift(`translate(${to.x - from.x}px, ${to.y - from.y}px)`);
  });
  captor.on("mouseup", () => {
    if (from && (from.x !== to.x || from.y !== to.y)) {
      const [before, after] = [from, to].map((point) => sigma.viewportToFramedGraph(point)) as [Point, Point];
      const camera = sigma.getCamera();
      sigma.once("afterRender", () => shift(""));
      camera.setState({ x: camera.x + before.x - after.x, y: camera.y + before.y - after.y });
    }
    from = null;
  });
}
