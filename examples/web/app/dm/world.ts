import { LONG_MS, newId, ticketedAddress } from "../chat/world.ts";
import { api, sessions } from "../session/here.ts";
import type { DmWorld } from "./dm.ts";

/** The pods behind the address that the page came from. */
export const here: DmWorld = {
  address: () => ticketedAddress("/dm/api/ws"),
  open: (address) => new WebSocket(address),
  now: () => Date.now(),
  random: () => Math.random(),
  newId,
  kept: sessionStorage,
  token: () => sessions.token(LONG_MS),
  async get(path) {
    const body = await api("GET", `/dm/api${path}`);
    return body["data"];
  },
};
