/* Texts as they are written: pulls what is new about twenty times a second and adds it; nothing is ever drawn again.

   `props.value` is the key of a group of texts, or null. `server.follow({key, have})` answers with what this browser
   lacks and `server.alternatives({key, text, token})` with the tokens that one was chosen from; both are described in
   microformer/ui/actions/streams.py. The event "settled" fires once all texts of a group have ended. The prelude
   defines visitor(). */

const PERIOD = 50; // milliseconds between two questions while something is being written
const HIDDEN_PERIOD = 1000; // while nobody can see it
const view = element.querySelector(".mf-stream");
const find = (name) => element.querySelector(`[data-part="${name}"]`);
const visible = () => !document.hidden && element.offsetParent !== null;
const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));

let current = null; // the key that is followed
let have = []; // how many tokens of each text are shown
let boxes = []; // the node that holds the tokens of each text
let picked = null; // {text, token} whose alternatives are shown

const made = (tag, className, text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
};
const percent = (share) => (share >= 0.0995 ? `${Math.round(100 * share)} %` : `${(100 * share).toFixed(share >= 0.001 ? 1 : 2)} %`);
/* Characters that cannot be seen get a sign of their own, as they have in the labels of tokens. */
const readable = (text) => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/ /g, "␣") || "(part of a character)";

const clear = () => {
  find("texts").replaceChildren();
  find("choices").hidden = true;
  find("about").textContent = "";
  find("says").textContent = "";
  find("footer").hidden = true;
  have = [];
  boxes = [];
  picked = null;
};

const begin = (texts) => {
  find("texts").dataset.count = texts.length;
  for (const [number, text] of texts.entries()) {
    const article = made("article", "mf-text");
    if (text.heading) article.append(made("h4", "", text.heading));
    const box = made("div", "mf-tokens");
    box.tabIndex = 0;
    box.dataset.text = number;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", `${text.heading || `Text ${number + 1}`}: the arrow keys go through its tokens`);
    box.append(made("span", "mf-prompt", text.prompt));
    article.append(box, made("p", "mf-ending"));
    find("texts").append(article);
    have.push(0);
    boxes.push(box);
  }
};

const grow = (number, text) => {
  const box = boxes[number];
  if (text.from !== have[number]) return; // an answer to an older question
  const added = document.createDocumentFragment();
  for (const [piece, probability] of text.tokens) {
    const token = made("span", "mf-token", piece);
    token.dataset.probability = probability;
    token.dataset.token = have[number]++;
    token.style.setProperty("--p", probability);
    token.title = percent(probability);
    added.append(token);
  }
  const follows = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.append(added);
  if (!text.done) {
    if (follows && text.tokens.length) box.scrollTop = box.scrollHeight;
    return;
  }
  if (box.dataset.reason) return;
  box.dataset.reason = text.reason;
  if (text.rest) box.append(made("span", "mf-rest", text.rest));
  if (text.reason === "endoftext") box.append(made("span", "mf-end", "∎"));
  if (follows) box.scrollTop = box.scrollHeight;
  const ending = box.parentElement.querySelector(".mf-ending");
  ending.textContent = text.error || [text.note, text.ending].filter(Boolean).join(" · ");
  ending.classList.toggle("mf-error", Boolean(text.error));
};

const show = (news) => {
  if (news.gone) {
    clear();
    view.dataset.state = "gone";
    find("empty").hidden = false;
    return;
  }
  if (!boxes.length) begin(news.texts);
  news.texts.forEach((text, number) => grow(number, text));
  if (find("about").textContent !== news.about) find("about").textContent = news.about;
  find("footer").hidden = !have.some(Boolean);
  if (news.done || !find("says").textContent) find("says").textContent = news.says; // a screen reader hears it twice
  view.dataset.state = news.done ? "done" : "writing";
  if (news.done && boxes.length > 1) for (const box of boxes) box.scrollTop = 0; // several are read from their beginnings
};

const run = async (key) => {
  if (key === current) return;
  current = key;
  clear();
  find("empty").hidden = Boolean(key);
  view.dataset.state = key ? "writing" : "none";
  while (key && current === key && element.isConnected) {
    const asked = performance.now();
    try {
      if (visitor()) {
        const news = await server.follow({ key, have, visitor: visitor() });
        if (current !== key) return;
        if (news.error) throw new Error(news.error);
        show(news);
        if (news.done) {
          trigger("settled");
          return;
        }
      }
    } catch (error) {
      find("says").textContent = "Waiting for the server …";
      find("footer").hidden = false;
      await pause(HIDDEN_PERIOD);
      find("says").textContent = "";
    }
    await pause(visible() ? Math.max(5, PERIOD - (performance.now() - asked)) : HIDDEN_PERIOD);
  }
};

/* What a token was chosen from. */
const pick = async (text, token) => {
  const node = boxes[text]?.querySelector(`[data-token="${token}"]`);
  if (!node) return;
  element.querySelector(".mf-picked")?.classList.remove("mf-picked");
  node.classList.add("mf-picked");
  node.scrollIntoView({ block: "nearest" });
  picked = { text, token };
  let chosen;
  try {
    chosen = await server.alternatives({ key: current, text, token, visitor: visitor() });
  } catch (error) {
    chosen = { error: "The server cannot be reached at the moment." };
  }
  if (picked?.text !== text || picked?.token !== token) return; // another one was picked in the meantime
  const panel = find("choices");
  panel.hidden = false;
  panel.dataset.token = token;
  if (chosen.error) {
    panel.replaceChildren(made("p", "", chosen.error));
    return;
  }
  const list = made("ol", "");
  for (const [place, [label, probability]] of chosen.alternatives.entries()) {
    const row = made("li", "");
    const bar = made("i", "");
    bar.style.setProperty("--share", `${100 * probability}%`);
    if (place === chosen.taken) row.classList.add("mf-taken");
    row.append(
      made("code", "", label), bar, made("span", "", percent(probability) + (place === chosen.taken ? " · taken" : "")),
    );
    list.append(row);
  }
  const said = chosen.taken === null
    ? `These were likelier than “${readable(chosen.text)}”, token ${token + 1}, which had ${percent(chosen.probability)}:`
    : `Token ${token + 1} was chosen from these and others:`;
  panel.replaceChildren(made("p", "", said), list);
};

find("texts").addEventListener("click", (event) => {
  const token = event.target.closest(".mf-token");
  if (token) pick(Number(token.parentElement.dataset.text), Number(token.dataset.token));
});
find("texts").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const box = event.target.closest(".mf-tokens");
  if (!step || !box) return;
  event.preventDefault();
  const text = Number(box.dataset.text);
  const from = picked?.text === text ? picked.token : step > 0 ? -1 : have[text];
  pick(text, Math.max(0, Math.min(have[text] - 1, from + step)));
});

watch("value", () => run(props.value || null));
run(props.value || null);
