// As little of a Lambda runtime as can run a Node.js handler: `node runtime.cjs TASK_ROOT EVENTS REPORT`.
const [taskRoot, events, report] = process.argv.slice(2);
const began = performance.now();

// AWS's names lead to this machine, as in runtime.py.
const dns = require("dns");
const ask = dns.lookup;
dns.lookup = (host, ...more) => ask(host.endsWith(".amazonaws.com") ? "127.0.0.1" : host, ...more);

const { handler } = require(`${taskRoot}/index.js`);
const loaded = performance.now();
const fs = require("fs");

(async () => {
  const taken = [], cpu = [];
  for (const line of fs.readFileSync(events, "utf8").trim().split("\n")) {
    const event = JSON.parse(line);
    const start = performance.now();
    await handler(event, { logStreamName: "local" });
    taken.push((performance.now() - start) / 1000);
    const used = process.cpuUsage(); // of all threads, since the process began
    cpu.push((used.user + used.system) / 1e6);
  }
  const peak = /VmHWM:\s+(\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1] * 1024;
  fs.writeFileSync(report, JSON.stringify({ init: (loaded - began) / 1000, taken, cpu, peak }));
  process.exit(0);
})();
