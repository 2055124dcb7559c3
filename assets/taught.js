/* The table of what was taught: each fact with its tick, to be changed in place or removed.

   `props.value` is {"model", "version"}; another version means that the list may have changed. `server.taught` answers
   with the rows, `server.change`, `server.remove` and `server.remove_passage` begin a lesson and `server.put_aside`
   ends at once; see microformer/ui/actions/lists.py. The event "began" fires when a lesson was begun here, "changed"
   when something else was. The preludes define visitor() and what
   parts.js has. */

const view = element.querySelector(".taught");
let asked = 0; // the number of the latest question: answers to older ones are not shown

const act = async (name, request, event) => {
  say("");
  const answer = await ask(name, request);
  if (answer.error) say(answer.error);
  else trigger(event);
};

const button = (label, about, press) => {
  const node = made("button", "taught-button", label);
  node.type = "button";
  node.setAttribute("aria-label", `${label} ${about}`);
  node.addEventListener("click", press);
  return node;
};
const tick = (said, yes, no) => {
  const node = made("span", said ? "tick yes" : "tick no", said ? "✓" : "○");
  node.title = said ? yes : no;
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", node.title);
  return node;
};

const row = ([prompt, answer, said]) => {
  const line = made("li", "taught-fact");
  line.dataset.prompt = prompt;
  line.dataset.said = said;
  const words = made("div", "words");
  words.append(made("span", "prompt", prompt), made("span", "arrow", "→"), made("span", "answer", answer));
  line.append(
    tick(said, "says it exactly", "does not say it exactly yet"),
    words,
    button("Edit", prompt, () => line.replaceWith(editor(line, prompt, answer))),
    button("Remove", prompt, () => act("remove", { prompt }, "began")),
  );
  return line;
};

const field = (label, value) => {
  const node = made("input", "");
  node.value = value;
  node.setAttribute("aria-label", label);
  return node;
};
const editor = (line, prompt, answer) => {
  const form = made("li", "taught-fact editing");
  const [asks, says] = [field("Prompt", prompt), field("Answer", answer)];
  const save = () => act("change", { old: prompt, prompt: asks.value, answer: says.value }, "began");
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.tagName === "INPUT") save();
    if (event.key === "Escape") form.replaceWith(line);
  });
  form.append(asks, says, button("Teach", prompt, save), button("Cancel", prompt, () => form.replaceWith(line)));
  setTimeout(() => says.focus());
  return form;
};

const passage = ([text, known], number) => {
  const line = made("li", "taught-fact");
  const words = made("div", "words");
  words.append(made("span", "passage", text));
  line.append(
    tick(known, "knows it by heart", "does not know all of it yet"),
    words,
    button("Remove", `passage ${number + 1}`, () => act("remove_passage", { number }, "began")),
  );
  return line;
};
const beside = ([id, name, count]) => {
  const line = made("li", "taught-fact");
  const words = made("div", "words");
  words.append(made("span", "prompt", name), made("span", "arrow", "·"), made("span", "answer", count));
  line.append(words, button("Remove", name, () => act("put_aside", { id }, "changed")));
  return line;
};

const refresh = async () => {
  if (!visitor()) return;
  const number = ++asked;
  const news = await ask("taught", { query: find("query").value });
  if (number !== asked) return;
  if (news.error) return say(news.error);
  say("");
  view.dataset.count = news.count;
  find("says").textContent = news.says;
  find("facts").replaceChildren(...news.rows.map(row));
  find("passages").replaceChildren(...news.passages.map(passage));
  find("beside").replaceChildren(...news.beside.map(beside));
  find("beside-title").hidden = !news.beside.length;
  find("passages-title").hidden = !news.passages.length;
  find("search").hidden = news.count < 8;
  find("empty").hidden = Boolean(news.count || news.passages.length || news.beside.length);
  const left = news.found - news.rows.length;
  find("more").textContent = left ? `and ${left.toLocaleString("en")} more; search to find them` : "";
  if (props.value?.model) view.dataset.model = props.value.model;
};

let typing = null;
find("query").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(refresh, 150); });
watch("value", refresh);
window.addEventListener("microformer:visitor", refresh);
refresh();
