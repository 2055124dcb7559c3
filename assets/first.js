/* Runs before anything of Gradio's. Its sign of loading (6.31) goes on asking for animation frames, sixty a second, after
   it has been taken away, which costs a run that is trained on the same machine some per cent of its speed. What has
   moved for three seconds on end, with nobody touching the page, goes on at one frame a second. */
(() => {
  const frame = window.requestAnimationFrame.bind(window);
  let moving = new Map(); // the code of what asks -> since when, and when it asked last
  for (const touch of ['pointermove', 'pointerdown', 'keydown', 'wheel', 'scroll']) {
    window.addEventListener(touch, () => { moving = new Map(); }, {capture: true, passive: true});
  }
  window.requestAnimationFrame = callback => {
    const code = String(callback), now = performance.now(), before = moving.get(code);
    const since = before && now - before.last < 2000 ? before.since : now;
    moving.set(code, {since, last: now});
    return now - since < 3000 ? frame(callback) : setTimeout(() => frame(callback), 1000);
  };
})();
