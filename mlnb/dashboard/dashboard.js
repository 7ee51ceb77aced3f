"use strict";
// Keeps the page of a run up to date while it goes on: requests what changes once a second.
{
  const live = document.getElementById("live");
  const announced = document.getElementById("live-status");
  const head = () => document.getElementById("live-head");

  const update = async () => {
    let pause = 1000;
    try {
      if (!document.hidden) {
        const response = await fetch(`${live.dataset.url}?version=${live.dataset.version}`);
        if (response.status === 200) {
          const focused = document.activeElement && document.activeElement.id;
          const scrolled = [...live.querySelectorAll(".wide")].map((region) => [region.id, region.scrollLeft]);
          live.innerHTML = await response.text();
          for (const [id, left] of scrolled) {
            const region = document.getElementById(id);
            if (region) region.scrollLeft = left;
          }
          document.dispatchEvent(new Event("mlnb-update"));
          live.dataset.version = response.headers.get("X-Version");
          if (announced.textContent !== head().dataset.status) announced.textContent = head().dataset.status;
          if (focused && document.getElementById(focused)) document.getElementById(focused).focus();
          if (!head().dataset.running) return;
        }
        live.classList.toggle("stale", !response.ok);
      }
    } catch {
      live.classList.add("stale"); // the dashboard was stopped
      pause = 5000;
    }
    setTimeout(update, pause);
  };

  if (live && head().dataset.running) setTimeout(update, 1000);
}
