import { afterEach, beforeEach, expect, test, vi } from "vitest";

const HINT = "infraspectre.session";
let asked: string[];
let answers: Record<string, () => Response>;

function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
}

/** Load the module anew, as a page that was just opened does. */
async function opened() {
  vi.resetModules();
  return await import("../src/api/session");
}

beforeEach(() => {
  asked = [];
  answers = {
    "/api/v1/sessions/renewal": () => json({ access_token: `token ${asked.length}`, expires_in: 600 }, 201),
    "/api/v1/me": () => json({ subject: "ada", role: "engineer", tenant: "default" }),
  };
  vi.stubGlobal("fetch", async (request: Request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    return answers[pathname]?.() ?? json({}, 404);
  });
  localStorage.clear();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("who was never here is asked for nothing", async () => {
  const session = await opened();
  await session.resume();
  expect(session.state.value).toBe("out");
  expect(asked).toEqual([]);
});

test("who was here goes on, and their role is known", async () => {
  localStorage.setItem(HINT, "1");
  const session = await opened();
  await session.resume();
  expect(session.state.value).toBe("in");
  expect([session.may("engineer"), session.may("administrator")]).toEqual([true, false]);
});

test("many requests at once renew once, while no other tab does", async () => {
  const locks: string[] = [];
  vi.stubGlobal("navigator", {
    locks: {
      request: (name: string, what: () => Promise<boolean>) => {
        locks.push(name);
        return what();
      },
    },
  });
  const session = await opened();
  expect(await Promise.all([session.renew(), session.renew(), session.renew()])).toEqual([true, true, true]);
  expect(asked.filter((path) => path.endsWith("renewal"))).toHaveLength(1);
  expect(locks).toHaveLength(1);
});

test("a token is renewed before it ends, and not earlier", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const session = await opened();
  await session.renew();
  const first = await session.freshToken();
  expect(await session.freshToken()).toBe(first);
  vi.setSystemTime(Date.now() + 571_000);
  expect(await session.freshToken()).not.toBe(first);
});

test("a session that the server ended is over, one that it could not look up is not", async () => {
  localStorage.setItem(HINT, "1");
  const session = await opened();
  await session.resume();
  answers["/api/v1/sessions/renewal"] = () => json({}, 503);
  expect(await session.renew()).toBe(false);
  expect(session.state.value).toBe("in");
  answers["/api/v1/sessions/renewal"] = () => json({}, 401);
  expect(await session.renew()).toBe(false);
  expect(session.state.value).toBe("out");
  expect(localStorage.getItem(HINT)).toBeNull();
});
