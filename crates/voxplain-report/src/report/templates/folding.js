// Folded parts of a report: a link to something in one opens it, and all are open on paper.
(() => {
  "use strict";
  const named = () => {
    try {
      return document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return null;
    }
  };

  function reveal() {
    const target = named();
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    // A section is named by its own id, and folds by what it holds.
    const own = target.matches("section, article") ? target.querySelector(":scope > details") : null;
    if (own) own.open = true;
    target.scrollIntoView();
  }

  addEventListener("hashchange", reveal);
  // A link to where the address is already changes no address.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (link && link.hash === location.hash) reveal();
  });

  const folds = () => document.querySelectorAll(".report details:not(.aside)");
  for (const button of document.currentScript.previousElementSibling.querySelectorAll("button[data-fold]")) {
    button.hidden = false;
    const open = button.dataset.fold === "open";
    button.addEventListener("click", () => {
      const own = button.closest(".report").querySelectorAll("section > details, article > details");
      for (const fold of own) fold.open = open;
    });
  }

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...folds()].filter((fold) => !fold.open);
    for (const fold of folded) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of folded) fold.open = false;
    folded = [];
  });
  reveal();
})();
