/* The page's own script: "?" beside terms, ticks on the steps, light and dark. No library, nothing fetched. */
(() => {
  const own = (window.microformer = Object.assign(window.microformer || {}, {}));
  const terms = window.microformerTerms || {};
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch (error) { /* private mode */ } };
  const recall = key => { try { return localStorage.getItem(key); } catch (error) { return null; } };

  /* Light and dark: what the person chose, else what the system says. */
  const DARK = 'microformer-dark';
  own.switchDark = () => {
    const dark = document.body.classList.toggle('dark');
    remember(DARK, dark ? 'yes' : 'no');
  };
  const chosen = recall(DARK);
  const applyDark = () => chosen && document.body.classList.toggle('dark', chosen === 'yes');

  /* Explanations. A label of a component with the class "term-x" gets a "?"; text may hold its own .help buttons. */
  const popover = document.createElement('div');
  popover.id = 'explanation';
  popover.setAttribute('popover', 'auto');
  popover.setAttribute('role', 'note');
  const explain = button => {
    const term = terms[button.dataset.term];
    if (!term) return;
    popover.replaceChildren(
      Object.assign(document.createElement('strong'), {textContent: term.name}), ' ',
      Object.assign(document.createElement('span'), {textContent: term.text}));
    popover.showPopover();
    const place = button.getBoundingClientRect(), box = popover.getBoundingClientRect();
    popover.style.left = `${Math.max(8, Math.min(place.left - 12, innerWidth - box.width - 8))}px`;
    popover.style.top = place.bottom + box.height + 12 < innerHeight
      ? `${place.bottom + 6}px` : `${Math.max(8, place.top - box.height - 6)}px`;
  };
  document.addEventListener('click', event => {
    const button = event.target.closest?.('.help');
    if (!button) return;
    event.preventDefault();   // the "?" may stand inside a label, which would focus its field
    event.stopPropagation();
    explain(button);
  }, true);

  const LABEL = '[data-testid="block-info"], [data-testid="block-label"], .label-wrap > span:first-child';
  const decorate = () => {
    for (const block of document.querySelectorAll('[class*="term-"]')) {
      const name = [...block.classList].find(one => one.startsWith('term-'))?.slice(5);
      const label = block.querySelector(LABEL);
      if (!terms[name] || !label || block.querySelector(`.help[data-term="${name}"]`)) continue;
      const button = document.createElement('button');
      button.type = 'button';
      button.className = 'help';
      button.dataset.term = name;
      button.textContent = '?';
      button.setAttribute('aria-label', `What is meant by ${terms[name].name}?`);
      label.append(button);
    }
  };

  /* Steps: the tabs are numbered by the style sheet; a tick shows in place of the number once a step is done. */
  const DONE = 'microformer-steps';
  let done = {};
  try { done = JSON.parse(recall(DONE) || '{}') || {}; } catch (error) { /* somebody else's value */ }
  const showTicks = () => {
    for (const tab of document.querySelectorAll('#steps [role="tab"]')) {
      const name = (tab.dataset.tabId || tab.id || '').replace(/-button$/, '').replace(/^tab-/, '');
      const state = done[name] ? 'done' : 'open';
      if (tab.dataset.step === state) continue;
      tab.dataset.step = state;
      if (done[name]) tab.setAttribute('aria-description', 'done'); else tab.removeAttribute('aria-description');
    }
  };
  own.tick = now => {
    // Sampling and sharing leave nothing on the server that outlasts it, so this browser remembers those two.
    done = {...now, sample: now.sample || done.sample, hub: now.hub || done.hub};
    remember(DONE, JSON.stringify(done));
    showTicks();
  };

  let waiting = false;
  const refresh = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; decorate(); showTicks(); });
  };
  const begin = () => {
    document.body.append(popover);
    applyDark();
    refresh();
    new MutationObserver(refresh).observe(document.body, {childList: true, subtree: true});
  };
  if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);
})();
