/* A conversation in which any reply can be corrected in place.

   `props.value` is {"model", "version"}. `server.talk`, `server.correct` and `server.start_anew` do what they say and
   `server.follow` tells how it stands; all answer with {"turns", "busy"}, see microformer/ui/actions/chat.py. The event
   "began" fires when a correction is being taught. The preludes define visitor() and what
   parts.js has. */

const view = element.querySelector(".chat");
const pause = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));
const visible = () => !document.hidden && element.offsetParent !== null;
let nodes = []; // for each turn, the nodes that change
let correcting = null; // the number of the turn whose correction is being written
let round = 0; // how often it was begun to follow

const button = (label, press, main = false) => {
  const node = made("button", `taught-button${main ? " main" : ""}`, label);
  node.type = "button";
  node.addEventListener("click", press);
  return node;
};

const begin = (number, turn) => {
  const article = made("article", "turn");
  const reply = made("div", "reply");
  const about = made("span", "about");
  const press = button("Correct", () => edit(number));
  press.setAttribute("aria-label", `Correct the reply to ${turn.message}`);
  const footer = made("footer", "");
  footer.append(press, about);
  article.append(made("div", "said", turn.message), reply, footer);
  find("turns").append(article);
  nodes.push({ article, reply, about, press, footer, message: turn.message });
};

const show = (news) => {
  const same = nodes.length <= news.turns.length && nodes.every((node, i) => node.message === news.turns[i].message);
  if (!same) {
    find("turns").replaceChildren();
    nodes = [];
    correcting = null;
  }
  for (const [number, turn] of news.turns.entries()) {
    const grows = number >= nodes.length;
    if (grows) begin(number, turn);
    const node = nodes[number];
    node.said = turn.reply.trim();
    const text = node.said || (turn.done ? "(nothing)" : "…");
    if (node.reply.textContent !== text) node.reply.textContent = text;
    node.reply.dataset.gate = turn.gate;
    node.reply.dataset.done = turn.done && !turn.learning;
    const about = [turn.says, turn.about].filter(Boolean).join(" · ");
    if (node.about.textContent !== about) node.about.textContent = about;
    node.press.hidden = turn.learning || !turn.done || correcting === number;
    if (grows) find("turns").scrollTop = find("turns").scrollHeight;
  }
  find("empty").hidden = Boolean(news.turns.length);
  find("anew").hidden = !news.turns.length;
  view.dataset.busy = news.busy;
};

/* Questions are asked only while something is being written or learnt. A later call takes over from an earlier one,
   whose answers may be from before the latest change. */
const follow = async () => {
  if (!visitor()) return;
  const mine = ++round;
  while (element.isConnected) {
    const news = await ask("follow");
    if (mine !== round) return;
    if (news.error) return say(news.error);
    show(news);
    if (!news.busy) return;
    await pause(visible() ? 120 : 1000);
    if (mine !== round) return;
  }
};

const edit = (number) => {
  correcting = number;
  const node = nodes[number];
  const form = made("form", "correcting");
  const box = made("textarea", "");
  box.value = node.said;
  box.setAttribute("aria-label", `What it should have said to ${node.message}`);
  const close = () => { correcting = null; form.remove(); node.press.hidden = false; };
  form.append(box, button("Teach", () => form.requestSubmit(), true), button("Cancel", close));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    const news = await ask("correct", { turn: number, answer: box.value.trim() });
    if (news.error) return say(news.error);
    close();
    show(news);
    trigger("began");
    follow();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && event.target === box) { event.preventDefault(); form.requestSubmit(); }
    if (event.key === "Escape") close();
  });
  node.footer.after(form);
  node.press.hidden = true;
  box.focus();
  box.select();
};

find("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const message = find("message").value;
  if (!message.trim()) return;
  say("");
  const news = await ask("talk", { message });
  if (news.error) return say(news.error);
  find("message").value = "";
  show(news);
  follow();
});
find("anew").addEventListener("click", async () => {
  const news = await ask("start_anew");
  if (news.error) return say(news.error);
  say("");
  show(news);
});
watch("value", follow);
window.addEventListener("microformer:visitor", follow);
follow();
