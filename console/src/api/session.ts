/** Holds who is logged in: the access token lives in memory alone, the refresh token in a cookie that no script sees. */
import { signal } from "@preact/signals";
import createClient from "openapi-fetch";
import type { paths } from "./schema";

export type Principal = { subject: string; role: string; tenant: string };
export type State = "unknown" | "out" | "in";

/** Renewed this long before the token ends, so that no request meets an ended one. */
const EARLY_S = 30;
/** Says that there may be a cookie, which no script sees, so that a stranger's first look asks for nothing. */
const HINT = "infraspectre.session";
/** Statuses that say that a session is over; all others, such as those of a busy server, say nothing about it. */
const ENDED = [401, 403];
const bare = createClient<paths>();

export const state = signal<State>("unknown");
export const principal = signal<Principal | null>(null);
let token = "";
let renewAt = 0;
let renewing: Promise<boolean> | null = null;

type Granted = { access_token: string; expires_in: number };

async function enter(session: Granted): Promise<void> {
  token = session.access_token;
  renewAt = Date.now() + (session.expires_in - EARLY_S) * 1_000;
  if (principal.value === null) {
    const { data } = await bare.GET("/api/v1/me", { headers: { authorization: `Bearer ${token}` } });
    if (data) principal.value = data as Principal;
  }
  localStorage.setItem(HINT, "1");
  state.value = "in";
}

function leave(): void {
  localStorage.removeItem(HINT);
  token = "";
  principal.value = null;
  state.value = "out";
}

/** Log in with a password; answers what was wrong, or null. */
export async function logIn(user: string, password: string, tenant: string): Promise<string | null> {
  const body = { user, password, tenant: tenant || "default", keep: "cookie" as const };
  const { data, error } = await bare.POST("/api/v1/sessions", { body });
  if (!data) return (error as { detail?: string } | undefined)?.detail ?? "the server does not answer";
  await enter(data);
  return null;
}

/** End the session here and on the server. */
export async function logOut(): Promise<void> {
  await bare.DELETE("/api/v1/sessions/current", { headers: { authorization: `Bearer ${token}` } });
  leave();
}

/** Go on with the session of before, if there may be one. */
export async function resume(): Promise<void> {
  if (localStorage.getItem(HINT)) await renew();
  if (state.value === "unknown") state.value = "out";
}

async function exchange(): Promise<boolean> {
  const asked = bare.POST("/api/v1/sessions/renewal", { body: { refresh_token: "" } });
  const answer = await asked.catch(() => null); // no answer says nothing about the session: it is asked for again
  if (answer?.data) await enter(answer.data);
  else if (answer && ENDED.includes(answer.response.status)) leave();
  return answer?.data !== undefined;
}

/** Exchange the cookie for a new access token; several tabs or requests at once ask once. */
export function renew(): Promise<boolean> {
  renewing ??= alone(exchange).finally(() => {
    renewing = null;
  });
  return renewing;
}

/** Do something while no other tab does it: each refresh token is good once. */
async function alone(what: () => Promise<boolean>): Promise<boolean> {
  return navigator.locks ? await navigator.locks.request("infraspectre-renewal", what) : await what();
}

/** Return a token that is good for the next request, or an empty text. */
export async function freshToken(): Promise<string> {
  if (token && Date.now() >= renewAt) await renew();
  return token;
}

/** Tell whether the role may do something, as the server decides it. */
const RANKS = ["viewer", "analyst", "engineer", "administrator"];
export function may(role: "viewer" | "analyst" | "engineer" | "administrator"): boolean {
  return RANKS.indexOf(principal.value?.role ?? "") >= RANKS.indexOf(role);
}
