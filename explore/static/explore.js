// What the pages do beyond links and forms; they work without it.
"use strict";

// A session: what a stretch is, below the picture, while one points at it or has it in focus.
const detail = document.getElementById("detail");
if (detail) {
  for (const link of document.querySelectorAll(".line a[data-stretch]")) {
    const tell = () => { detail.textContent = link.getAttribute("aria-label"); };
    link.addEventListener("mouseenter", tell);
    link.addEventListener("focus", tell);
  }
}

// The list: read anew every 5 s while there are live sessions, and nobody is at work in it.
const list = document.getElementById("list");
const follow = document.getElementById("follow");
if (list && follow) {
  follow.closest("[hidden]").hidden = false;
  const update = async () => {
    if (!follow.checked || document.hidden || list.contains(document.activeElement)) return;
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const rows = page.querySelector("#list table");
    if (rows) list.replaceChildren(document.adoptNode(rows));
  };
  setInterval(() => { update().catch(() => {}); }, 5000);
}
