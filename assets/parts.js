/* What the page's own widgets have in common: their parts by name, and questions to the server about the chosen model.

   `props.value` is {"model", …}. The prelude defines visitor(). */

const find = (name) => element.querySelector(`[data-part="${name}"]`);
const made = (tag, className, text = "") => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.textContent = text;
  return node;
};
const ask = async (name, request = {}) => {
  try {
    return await server[name]({ ...request, model: props.value?.model ?? null, visitor: visitor() });
  } catch (error) {
    return { error: "The server cannot be reached at the moment; try again." };
  }
};
const say = (sentence) => {
  find("error").textContent = sentence;
  find("error").hidden = !sentence;
};
