// Before anything is drawn: the reader's own choice of light or dark, where there is one.
(() => {
  try {
    const chosen = localStorage.getItem('vdw-theme');
    if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
  } catch {
    // no storage: the system's choice counts
  }
})();
