/** Asks the API: typed by its description, with a fresh token, and with problems as one kind of error. */
import { QueryClient } from "@tanstack/preact-query";
import createClient, { type Middleware } from "openapi-fetch";
import type { paths } from "./schema";
import { freshToken, renew, state } from "./session";

/** What the server says of a request that it refused (RFC 9457). */
export type Problem = {
  title: string;
  status: number;
  detail: string;
  request_id?: string;
  errors?: { field?: string; problem: string; remedy?: string }[];
};

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

const authorized: Middleware = {
  async onRequest({ request }) {
    const token = await freshToken();
    if (token) request.headers.set("authorization", `Bearer ${token}`);
    if (request.method === "POST") request.headers.set("idempotency-key", crypto.randomUUID());
    return request;
  },
  onResponse({ response }) {
    if (response.status === 401) void renew();
  },
};

export const api = createClient<paths>();
api.use(authorized);

type Answer<T> = { data?: T; error?: unknown; response: Response };

/** Return what was answered; throws ProblemError. */
export async function answered<T>(asked: Promise<Answer<T>>): Promise<T> {
  let answer: Answer<T>;
  try {
    answer = await asked;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new ProblemError({ title: "No answer", status: 0, detail: "The server cannot be reached." });
  }
  if (answer.response.ok) return answer.data as T;
  throw new ProblemError(problemOf(answer.error, answer.response));
}

/** Return the items of a list that was asked for with all fields; throws ProblemError. */
export async function listed<T>(asked: Promise<Answer<{ items: Partial<T>[] }>>): Promise<T[]> {
  return (await answered(asked)).items as T[];
}

/** Return the entity tag of a record as it is now, which a change has to name; throws ProblemError. */
export async function tagOf<T>(asked: Promise<Answer<T>>): Promise<{ "if-match": string }> {
  const answer = await asked;
  await answered(Promise.resolve(answer));
  return { "if-match": answer.response.headers.get("etag") ?? "" };
}

function problemOf(error: unknown, response: Response): Problem {
  const told = (typeof error === "object" && error ? error : {}) as Partial<Problem>;
  const unknown = { title: response.statusText || "Refused", status: response.status, detail: "" };
  return { ...unknown, ...told };
}

const TRIES = 2;

export const questions = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 15_000,
      refetchOnWindowFocus: true,
      retry: (failures, error) => failures < TRIES && !(error instanceof ProblemError && isFinal(error.problem.status)),
    },
  },
});

/* What one person was told is not for the next one who logs in here. */
state.subscribe((now) => {
  if (now === "out") questions.clear();
});

function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 429;
}
