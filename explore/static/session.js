// The pages of one session; they work without it.
"use strict";

{ // names of its own, beside explore.js
  // A stretch, or when a player state was on: told below the picture while one points at it or has
  // it in focus. Arrow keys go on: along its row, and up and down to the others.
  const marks = () => [...document.querySelectorAll(".line a")];

  const tell = (mark) => {
    const detail = document.getElementById("detail");
    const row = document.getElementById(mark.getAttribute("href").slice(1));
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
    mark.classList.add("chosen");
  };

  const prepareLine = () => {
    marks().forEach((mark, place) => {
      mark.setAttribute("tabindex", place ? "-1" : "0"); // one stop for Tab, the arrows do the rest
      mark.addEventListener("mouseenter", () => tell(mark));
      mark.addEventListener("focus", () => tell(mark));
    });
  };

  // The first of a row that ends right of where the mark begins.
  const nearest = (mark, row) => {
    const { left } = mark.getBoundingClientRect();
    return row && (row.find((it) => it.getBoundingClientRect().right > left + 1) ?? row.at(-1));
  };

  const goAlong = (event) => {
    const mark = event.target.closest?.(".line a");
    if (!mark) return;
    const names = [...new Set(marks().map((it) => it.dataset.row))];
    const rows = names.map((name) => marks().filter((it) => it.dataset.row === name));
    const level = names.indexOf(mark.dataset.row);
    const row = rows[level];
    const at = row.indexOf(mark);
    const next = {
      ArrowRight: () => row[at + 1],
      ArrowLeft: () => row[at - 1],
      ArrowDown: () => nearest(mark, rows[level + 1]),
      ArrowUp: () => nearest(mark, rows[level - 1]),
      Home: () => row[0],
      End: () => row.at(-1),
    }[event.key]?.();
    if (!next) return;
    event.preventDefault();
    mark.setAttribute("tabindex", "-1");
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
