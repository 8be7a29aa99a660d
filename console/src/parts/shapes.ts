/** Gives the shapes of kinds of nodes to WebGL, as functions of the distance to their edge. */
import { sdfCircle } from "sigma/rendering";
import type { Shape } from "./network";

type Drawn = ReturnType<typeof sdfCircle>;

function shape(name: Shape, body: string): Drawn {
  return { name, glsl: `float sdf_${name}(vec2 uv, float size) {${body}}`, uniforms: [], inradiusFactor: 0.7 };
}

/* The plane is folded about the centre until one side is left; a corner points up. */
function polygon(name: Shape, corners: number): Drawn {
  const turn = ((2 * Math.PI) / corners).toFixed(8);
  const near = Math.cos(Math.PI / corners).toFixed(8);
  return shape(
    name,
    `float at = mod(atan(uv.x, uv.y), ${turn}) - ${turn} / 2.0; return cos(at) * length(uv) - size * ${near};`,
  );
}

/* The five-pointed star of https://iquilezles.org/articles/distfunctions2d/ */
const STAR = `
  vec2 k = vec2(0.809016994375, -0.587785252292);
  vec2 p = vec2(abs(uv.x), uv.y);
  p -= 2.0 * max(dot(k, p), 0.0) * k;
  p -= 2.0 * max(dot(vec2(-k.x, k.y), p), 0.0) * vec2(-k.x, k.y);
  p = vec2(abs(p.x), p.y - size);
  vec2 side = 0.48 * vec2(-k.y, k.x) - vec2(0.0, 1.0);
  float h = clamp(dot(p, side) / dot(side, side), 0.0, size);
  return length(p - side * h) * sign(p.y * side.x - p.x * side.y);`;

export const SHAPES: Drawn[] = [
  sdfCircle(),
  shape("square", "return max(abs(uv.x), abs(uv.y)) - size * 0.8;"),
  polygon("triangle", 3),
  polygon("diamond", 4),
  polygon("pentagon", 5),
  polygon("hexagon", 6),
  shape("star", STAR),
  shape(
    "cross",
    "vec2 p = abs(uv); return min(max(p.x - size, p.y - size * 0.36), max(p.x - size * 0.36, p.y - size));",
  ),
];
