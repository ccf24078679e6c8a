// What a program does with Seam's JavaScript client; prints what came of it as JSON.
// Run as: client.mjs PART..., with SEAM_ENDPOINT and SEAM_API_KEY in the environment.
import { Seam } from "seam";

const { SEAM_ENDPOINT: endpoint, SEAM_API_KEY: apiKey } = process.env;
const SOON = { timeout: 20_000, pollingInterval: 50 };
const LONG_AGO = "2020-01-01T00:00:00Z";
const NOBODY = "00000000-0000-4000-8000-000000000000";
const client = (options = {}) => new Seam({ endpoint, apiKey, waitForActionAttempt: SOON, ...options });

async function caught(work) {
  try {
    await work();
  } catch (error) {
    return {
      error: error.name,
      code: error.code ?? null,
      status: error.statusCode ?? null,
      request_id: Boolean(error.requestId),
      ...(error.getValidationErrorMessages && {
        validation: ["device_id", "since"].filter((name) => error.getValidationErrorMessages(name).length),
      }),
    };
  }
  return null;
}

const parts = {
  async operating() {
    const seam = client();
    const [{ device_id }] = await seam.locks.list();
    const unlocked = await seam.locks.unlockDoor({ device_id });
    const locked = await seam.locks.lockDoor({ device_id }, { waitForActionAttempt: SOON });
    const pending = await seam.locks.unlockDoor({ device_id }, { waitForActionAttempt: false });
    const { action_attempt_id } = pending;
    let polled = pending;
    while (polled.status === "pending") {
      polled = await seam.actionAttempts.get({ action_attempt_id }, { waitForActionAttempt: false });
    }
    const resolved = await seam.actionAttempts.get({ action_attempt_id });
    const lock = await seam.locks.get({ device_id });
    return {
      unlocked: [unlocked.action_type, unlocked.status, Boolean(unlocked.error)],
      locked: [locked.action_type, locked.status, Boolean(locked.error)],
      pending: pending.status,
      polled: [polled.status, polled.action_attempt_id === action_attempt_id],
      resolved: resolved.status,
      lock: [lock.device_id === device_id, lock.properties.locked, lock.properties.online],
    };
  },

  async listing() {
    const seam = client();
    const devices = (await seam.devices.list()).map(({ device_id }) => device_id);
    const ids = [];
    for (const device_id of devices.flatMap((each) => [each, each])) {
      ids.push((await seam.locks.lockDoor({ device_id })).action_attempt_id);
    }
    const named = await seam.actionAttempts.list({ action_attempt_ids: [ids[0], ids[2]] });
    const event_type = "action_attempt.lock_door.succeeded";
    const events = await seam.events.list({ since: LONG_AGO, event_type, device_id: devices[0] });
    const between = await seam.events.list({ between: [LONG_AGO, "2020-01-02T00:00:00Z"] });
    const event = await seam.events.get({ event_id: events[0].event_id });
    const pages = seam.createPaginator(seam.actionAttempts.list({ limit: 1, action_attempt_ids: ids }));
    const [first, { hasNextPage }] = await pages.firstPage();
    const all = await pages.flattenToArray();
    const same = (found, wanted) => String(found.map((each) => each.action_attempt_id)) === String(wanted);
    return {
      locks: String((await seam.locks.list()).map((lock) => lock.device_id)) === String(devices),
      two: devices.length,
      named: same(named, [ids[0], ids[2]]),
      none: (await seam.actionAttempts.list({ action_attempt_ids: [] })).length === 0,
      events: ids.slice(0, 2).every((id) => events.some(({ action_attempt_id }) => action_attempt_id === id)),
      between: between.length,
      event: event.event_id === events[0].event_id,
      workspace: Boolean((await seam.workspaces.get()).workspace_id),
      pages: [same(first, ids.slice(0, 1)), hasNextPage, same(all, ids)],
    };
  },

  async failing() {
    const seam = client();
    const [{ device_id, properties }] = await seam.locks.list();
    let failed;
    const jam = async () => {
      try {
        await (properties.locked === false ? seam.locks.lockDoor({ device_id }) : seam.locks.unlockDoor({ device_id }));
      } catch (error) {
        failed = error.actionAttempt;
        throw error;
      }
    };
    const told = await caught(jam);
    return { caught: told, attempt: [failed.status, failed.error.type, Boolean(failed.error.message)] };
  },

  async late() {
    const seam = client();
    const [{ device_id }] = await seam.locks.list();
    const waitForActionAttempt = { timeout: 20, pollingInterval: 10 };
    return caught(() => seam.locks.unlockDoor({ device_id }, { waitForActionAttempt }));
  },

  async refused() {
    const seam = client();
    return {
      key: await caught(() => client({ apiKey: "seam_lb_00000000_nobodys" }).locks.list()),
      device: await caught(() => seam.locks.unlockDoor({ device_id: NOBODY })),
      attempt: await caught(() => seam.actionAttempts.get({ action_attempt_id: NOBODY })),
      input: await caught(() => seam.locks.unlockDoor({ device_id: 7 })),
      time: await caught(() => seam.events.list({ since: "yesterday" })),
    };
  },
};

const found = {};
for (const part of process.argv.slice(2)) {
  found[part] = await parts[part]();
}
console.log(JSON.stringify(found));
