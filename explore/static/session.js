// The pages of one session; they work without it.
"use strict";

{ // names of its own, beside explore.js
  // A stretch: told below the picture while one points at it or has it in focus; arrow keys go on.
  const stretchLinks = () => [...document.querySelectorAll(".line a[data-stretch]")];

  const tellStretch = (link) => {
    const detail = document.getElementById("detail");
    const row = document.getElementById(`stretch-${link.dataset.stretch}`);
    if (!detail || !row) return;
    const names = [...row.closest("table").tHead.rows[0].cells].map((cell) => cell.textContent);
    const list = document.createElement("dl");
    [...row.cells].forEach((cell, place) => {
      const pair = document.createElement("div");
      const name = document.createElement("dt");
      const told = document.createElement("dd");
      name.textContent = names[place];
      told.replaceChildren(...cell.cloneNode(true).childNodes);
      if (place === row.cells.length - 1) pair.className = "wide";
      pair.append(name, told);
      list.append(pair);
    });
    detail.classList.toggle("moved", row.classList.contains("moved"));
    detail.replaceChildren(list);
    for (const other of document.querySelectorAll(".line a.chosen")) other.classList.remove("chosen");
    link.classList.add("chosen");
  };

  const prepareLine = () => {
    stretchLinks().forEach((link, place) => {
      link.setAttribute("tabindex", place ? "-1" : "0"); // one stop for Tab, the arrows do the rest
      link.addEventListener("mouseenter", () => tellStretch(link));
      link.addEventListener("focus", () => tellStretch(link));
    });
  };

  const goAlong = (event) => {
    const links = stretchLinks();
    const at = links.indexOf(event.target.closest?.(".line a[data-stretch]"));
    if (at < 0) return;
    const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: links.length - 1 };
    const next = links[places[event.key]];
    if (!next) return;
    event.preventDefault();
    links[at].setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  };

  const read = async (address) => {
    const answer = await fetch(address, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return { ok: answer.ok, page };
  };

  // A look into the log: its section is fetched into this page. On a page of its own, links are links.
  const look = async (link) => {
    const section = document.getElementById(link.dataset.look);
    let told = section.querySelector(".told");
    if (!told) {
      told = document.createElement("p");
      told.className = "told";
      told.setAttribute("role", "status");
      section.append(told);
    }
    told.textContent = "Reading the log …";
    section.setAttribute("aria-busy", "true");
    try {
      const { ok, page } = await read(link.href);
      const found = ok ? page.getElementById(section.id) : null;
      if (found) {
        section.replaceWith(document.adoptNode(found));
        found.querySelector("h2").focus();
        return;
      }
      const message = page.querySelector(".message");
      told.textContent = message
        ? [...message.querySelectorAll("h1, p:not(:last-child)")].map((it) => it.textContent).join(". ")
        : "That could not be read; try again.";
    } catch {
      told.textContent = "The explorer does not answer; try again.";
    }
    section.removeAttribute("aria-busy");
  };

  // A live session: read anew every 5 s, unless somebody is at work in it.
  const follow = async () => {
    const shown = document.getElementById("session");
    if (document.hidden || shown.contains(document.activeElement) || shown.matches(":hover")) return;
    const { ok, page } = await read(location.href);
    const now = ok ? page.getElementById("session") : null;
    if (!now) return;
    shown.replaceWith(document.adoptNode(now));
    prepareLine();
  };

  prepareLine();
  document.addEventListener("keydown", goAlong);
  if (document.getElementById("session")) {
    document.addEventListener("click", (event) => {
      const link = event.target.closest?.("a[data-look]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      look(link);
    });
    setInterval(() => {
      if (document.getElementById("session").dataset.live === "yes") follow().catch(() => {});
    }, 5000);
  }
}
