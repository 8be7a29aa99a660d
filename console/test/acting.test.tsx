import { QueryClient, QueryClientProvider } from "@tanstack/preact-query";
import { act, renderHook } from "@testing-library/preact";
import type { ComponentChildren } from "preact";
import { expect, test, vi } from "vitest";
import { useAction } from "../src/api/acting";
import { ProblemError } from "../src/api/client";

function rendered<R>(does: () => Promise<R>, told: Parameters<typeof useAction<void, R>>[1] = {}) {
  const client = new QueryClient();
  const invalidated = vi.spyOn(client, "invalidateQueries");
  const wrapper = ({ children }: { children: ComponentChildren }) => (
    <QueryClientProvider client={client}>{children}</QueryClientProvider>
  );
  return { invalidated, ...renderHook(() => useAction<void, R>(does, told), { wrapper }) };
}

test("what was changed is asked for anew, and the result is handed on", async () => {
  const after = vi.fn();
  const { result, invalidated } = rendered(async () => "made", { changes: ["users", "keys"], after });
  await act(async () => expect(await result.current.run()).toBe(true));
  expect(invalidated.mock.calls.map(([what]) => what?.queryKey)).toEqual([["users"], ["keys"]]);
  expect(after).toHaveBeenCalledWith("made");
});

test("it is busy until it is done", async () => {
  let done = (_: string) => {};
  const { result } = rendered(() => new Promise<string>((resolve) => (done = resolve)));
  await act(async () => void result.current.run());
  expect(result.current.isBusy).toBe(true);
  await act(async () => done("made"));
  expect(result.current.isBusy).toBe(false);
});

test("what the server says of fields stands beside them until the next try", async () => {
  const errors = [
    { field: "password", problem: "is too short", remedy: "take 12 characters" },
    { problem: "no field" },
  ];
  const refusals = [new ProblemError({ title: "Refused", status: 422, detail: "not so", errors })];
  const after = vi.fn();
  const does = async () => {
    const refusal = refusals.pop();
    if (refusal) throw refusal;
  };
  const { result, invalidated } = rendered(does, { changes: ["users"], after });
  await act(async () => expect(await result.current.run()).toBe(false));
  expect(result.current.problems).toEqual({ password: "is too short take 12 characters" });
  expect(after).not.toHaveBeenCalled();
  expect(invalidated).not.toHaveBeenCalled();
  await act(async () => expect(await result.current.run()).toBe(true));
  expect(result.current.problems).toEqual({});
});
