// Work that takes longer than a frame: generators, a slice at a time, so that a page stays awake.

const SLICE = 12; // milliseconds

// Jobs by name, the first of `order` first. `set` starts one or starts it anew; `failed` hears what one has thrown.
export function makeJobs(order, failed) {
  const jobs = new Map(), pause = () => new Promise((resolve) => setTimeout(resolve));
  let idle = Promise.resolve(), running = false;
  async function run() {
    running = true;
    for (let name = next(); name; name = next()) {
      const job = jobs.get(name), end = performance.now() + SLICE;
      let done = false;
      try {
        while (!done && performance.now() < end) ({ done } = job.next());
      } catch (error) {
        done = true;
        failed(error);
      }
      if (done && jobs.get(name) === job) jobs.delete(name);
      await pause();
    }
    running = false;
  }
  const next = () => order.find((name) => jobs.has(name));
  return {
    set(name, job) {
      jobs.set(name, job);
      if (!running) idle = run();
      return idle;
    },
    get idle() { return idle; },
    get busy() { return jobs.size > 0; },
    stop: () => jobs.clear(),
  };
}
