import { expect, test } from "vitest";
import { dragAsDrawn } from "../../src/parts/dragging";

type Heard = { x: number; y: number; original: { button: number }; preventSigmaDefault: () => void };

/** Is a picture whose graph is as wide as a hundred pixels. */
function picture(isLarge: boolean) {
  const listeners: Record<string, (event: Heard) => void> = {};
  const container = document.createElement("div");
  const stage = container.appendChild(document.createElement("canvas"));
  const camera = { x: 0.5, y: 0.5, setState: (state: object) => Object.assign(camera, state) };
  let prevented = 0;
  let draw = () => {};
  const on = (name: string, listener: (event: Heard) => void) => {
    listeners[name] = listener;
  };
  const sigma = {
    getMouseCaptor: () => ({ on }),
    getContainer: () => container,
    getCamera: () => camera,
    viewportToFramedGraph: ({ x, y }: { x: number; y: number }) => ({ x: x / 100, y: y / 100 }),
    once: (_: string, listener: () => void) => {
      draw = listener;
    },
  };
  dragAsDrawn(sigma as unknown as Parameters<typeof dragAsDrawn>[0], () => isLarge);
  const hear = (name: string, x: number, y: number, button = 0) =>
    listeners[name]?.({ x, y, original: { button }, preventSigmaDefault: () => prevented++ });
  return { stage, camera, hear, draw: () => draw(), prevented: () => prevented };
}

test("a large picture moves as it was drawn, and is drawn anew where it comes to rest", () => {
  const { stage, camera, hear, draw, prevented } = picture(true);
  hear("mousedown", 10, 10);
  hear("mousemovebody", 30, 20);
  expect(prevented()).toBe(1);
  expect(stage.style.transform).toBe("translate(20px, 10px)");
  expect(camera).toMatchObject({ x: 0.5, y: 0.5 });
  hear("mouseup", 30, 20);
  expect(camera.x).toBeCloseTo(0.3);
  expect(camera.y).toBeCloseTo(0.4);
  draw();
  expect(stage.style.transform).toBe("");
  hear("mousemovebody", 40, 40);
  expect(prevented()).toBe(1);
});

test.each([
  [false, 0],
  [true, 2],
])("small pictures and other buttons are left to the picture (large: %s, button %i)", (isLarge, button) => {
  const { stage, camera, hear, prevented } = picture(isLarge);
  hear("mousedown", 10, 10, button);
  hear("mousemovebody", 30, 20, button);
  hear("mouseup", 30, 20, button);
  expect([prevented(), stage.style.transform, camera.x]).toEqual([0, "", 0.5]);
});
