/* A text on its way to a dataset: a bar, a sentence, and silence once it has ended.

   `props.value` changes when a preparation was begun (or may be in progress, after a reload). `server.progress` answers
   with {"state", "fraction", "says", "source", "key"}; the event "settled" fires when a preparation ends that was seen
   working. The prelude defines visitor(). */

const view = element.firstElementChild;
const bar = element.querySelector('[data-part="bar"]');
const says = element.querySelector('[data-part="says"]');
let timer = null;
let working = null; // the key of the preparation that was last seen working
let busy = false;

const show = (now) => {
  view.dataset.state = now.state;
  view.dataset.source = now.source;
  view.hidden = now.state === "none";
  bar.style.setProperty("--share", `${100 * now.fraction}%`);
  bar.setAttribute("aria-valuenow", Math.round(100 * now.fraction));
  if (says.textContent !== now.says) says.textContent = now.says;
};

const pull = async () => {
  if (busy || !visitor()) return;
  busy = true;
  const begun = props.value;
  try {
    const now = await server.progress({ visitor: visitor() });
    // An answer from before something was begun tells nothing of it; on a busy server it may come late. Ask again.
    if (now.error || props.value !== begun) return;
    show(now);
    const settled = working !== null && now.state !== "working"; // or lost, when the server was restarted
    working = now.state === "working" ? now.key : null;
    if (working === null) rest();
    if (settled) trigger("settled");
  } catch (error) {
    says.textContent = "Waiting for the server …";
  } finally {
    busy = false;
  }
};

const rest = () => { clearInterval(timer); timer = null; };
const wake = () => {
  // A quick preparation may have ended before it is first looked at: what was just begun counts as seen working.
  working = props.value || working;
  if (timer === null) timer = setInterval(() => (element.isConnected ? pull() : rest()), 300);
  pull();
};

watch("value", () => {
  if (props.value) show({ state: "working", source: "", fraction: 0, says: "Starting …" }); // not how the last one ended
  wake();
});
window.addEventListener("microformer:visitor", wake);
window.addEventListener("microformer:look", pull);
wake();
