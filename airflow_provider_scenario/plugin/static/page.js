// Keeps the page up to date without loading it anew, as long as something moves and somebody looks.
"use strict";
(() => {
  const page = document.getElementById("page");
  const offline = document.getElementById("offline");
  let timer = null;
  let failures = 0;

  const zone = () => {
    try {
      return JSON.parse(localStorage.getItem("timezone")) || undefined;
    } catch {
      return undefined;
    }
  };

  // Into the zone chosen in Airflow, or the browser's.
  const localise = (root) => {
    const options = { dateStyle: "short", timeStyle: "medium" };
    let format; // Sweden writes times as Airflow does: 2026-01-31 17:05:00
    try {
      format = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: zone() });
    } catch {
      format = new Intl.DateTimeFormat("sv-SE", options);
    }
    for (const time of root.querySelectorAll("time[datetime]")) {
      time.textContent = format.format(new Date(time.dateTime));
    }
  };

  // Changes only what differs: focus, scrolling, open dialogs and loaded pictures stay.
  const update = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh.cloneNode(true));
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    if ("keep" in old.dataset) return;
    if (old.nodeName === "SELECT" || old.nodeName === "INPUT" || (old.nodeName === "DIALOG" && old.open)) return;
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const wanted = [...fresh.childNodes];
    const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    wanted.forEach((child, index) => {
      const there = (child.id && byId.get(child.id)) || old.childNodes[index];
      if (!there) old.append(child.cloneNode(true));
      else {
        if (there !== old.childNodes[index]) old.insertBefore(there, old.childNodes[index]);
        update(there, child);
      }
    });
    while (old.childNodes.length > wanted.length) old.lastChild.remove();
  };

  // A task's log comes from Airflow's own API, which asks whether the viewer may read it.
  const linesOf = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()).content.filter((line) => line.event && line.event !== "::endgroup::");
  };

  // What Airflow says of its own work: where the log lies, that it loads the DAG, that it pushes an XCom.
  const isAirflows = ({ logger, level }) =>
    !["warning", "error", "critical"].includes(level) &&
    (!logger || logger === "task" || (logger.startsWith("airflow.") && !logger.startsWith("airflow.task.")));

  const asItem = ({ timestamp, level, event, error_detail: errors }) => {
    const line = document.createElement("li");
    if (timestamp) {
      const time = document.createElement("time");
      time.dateTime = timestamp;
      line.append(time, " ");
    }
    const problem = (errors ?? []).map((error) => ` ${error.exc_type}: ${error.exc_value}`).join("");
    line.append(String(event).replace(/^::group::/, "") + problem);
    line.className = String(level ?? "");
    return line;
  };

  const readLog = async (details) => {
    const [own, airflows] = details.querySelectorAll("ul");
    let lines;
    try {
      lines = await linesOf(details.dataset.log);
    } catch {
      lines = [{ event: "Airflow does not show the log now. Look into the task's Logs tab.", level: "warning" }];
    }
    own.replaceChildren(...lines.filter((line) => !isAirflows(line)).map(asItem));
    airflows.replaceChildren(...lines.filter(isAirflows).map(asItem));
    localise(details);
  };

  document.addEventListener("toggle", ({ target }) => target.dataset.log && target.open && readLog(target), true);

  // Why a task has failed is in its log alone. That is read for the rows that are seen, one after the other.
  const MOST_REASONS = 100;
  const reasons = new Map(); // the address of a log, and the first line of its last error
  let reading = Promise.resolve();

  const reasonIn = (lines) => {
    const last = (has) => lines.filter(has).pop();
    const line = last(({ error_detail: errors }) => errors?.length) ?? last(({ level }) => level === "error");
    return String(line?.error_detail?.[0]?.exc_value ?? line?.event ?? "").trim().split("\n")[0].slice(0, 300);
  };

  const readReason = async (address) => {
    try {
      reasons.set(address, reasonIn(await linesOf(address)));
    } catch {
      return; // the viewer may not read logs, or it is not there: the row says nothing
    }
    showReasons();
  };

  const inView = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const address = target.dataset.error;
      if (!isIntersecting || reasons.has(address) || reasons.size >= MOST_REASONS) continue;
      reasons.set(address, "");
      reading = reading.then(() => readReason(address));
    }
  });

  const showReasons = () => {
    inView.disconnect();
    for (const place of page.querySelectorAll("[data-error]")) {
      if (reasons.has(place.dataset.error)) place.textContent = reasons.get(place.dataset.error);
      else inView.observe(place);
    }
  };

  const say = (text) => {
    offline.textContent = text;
    offline.hidden = !text;
  };

  const look = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 401 || answer.status === 403) {
        say("You are no longer logged in, or may no longer see this. Log in to Airflow and open the page again.");
        delete page.dataset.refresh;
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      localise(fresh);
      update(page, fresh.getElementById("page"));
      showReasons();
      page.querySelectorAll("details[data-log][open]").forEach(readLog);
      failures = 0;
      say("");
    } catch {
      failures += 1;
      say("Airflow does not answer. What you see may be old; the page tries again by itself.");
    }
    plan();
  };

  const plan = () => {
    clearTimeout(timer);
    const seconds = Number(page.dataset.refresh);
    if (seconds && !document.hidden) timer = setTimeout(look, 1000 * seconds * Math.min(6, 1 + failures));
  };

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && page.dataset.refresh) look();
  });

  // A picture opens large inside the page: the frame in which Airflow shows it may open no window.
  const viewer = document.getElementById("viewer");
  let enlarged = null; // the button of the picture that is shown large

  const gallery = () => [...(enlarged.closest("section")?.querySelectorAll("[data-picture]") ?? [enlarged])];

  const enlarge = (button) => {
    const [small, large] = [button, viewer].map((place) => place.querySelector("img"));
    enlarged = button;
    large.classList.remove("missing");
    delete large.dataset.tried;
    if (!small.complete) large.removeAttribute("src"); // the one before must not stand above this one's caption
    large.src = small.src;
    large.alt = small.alt;
    viewer.querySelector("bdi").textContent = button.dataset.picture;
    viewer.querySelector("small").textContent = `${gallery().indexOf(button) + 1} of ${gallery().length}`;
    if (!viewer.open) viewer.showModal();
  };

  const step = (by) => {
    const all = gallery();
    enlarge(all[(all.indexOf(enlarged) + by + all.length) % all.length]);
  };

  viewer?.addEventListener("close", () => enlarged.focus());
  viewer?.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    step(by);
  });

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("button");
    const { opens, closes, picture, step: by } = button?.dataset ?? {};
    if (opens) document.getElementById(opens).showModal();
    if (closes) document.getElementById(closes).close();
    if (picture !== undefined) enlarge(button);
    if (by) step(Number(by));
  });

  // A picture that cannot be loaded is tried once more, then says so.
  document.addEventListener(
    "error",
    (event) => {
      const picture = event.target;
      if (picture.nodeName !== "IMG") return;
      if (picture.dataset.tried) picture.classList.add("missing");
      else {
        picture.dataset.tried = "1";
        setTimeout(() => (picture.src = picture.src), 3000);
      }
    },
    true,
  );

  // Airflow 3.4 says only in its own address which iteration of a loop is open: the address of a tab has no place for it.
  const ITERATION = ["region_id", "region_index"];
  const openIteration = () => {
    try {
      const address = new URLSearchParams(window.parent.location.search);
      return ITERATION.map((name) => address.get(name));
    } catch {
      return [null, null]; // a frame of another origin
    }
  };
  let shownIteration = new URLSearchParams(location.search).has(ITERATION[0]) ? openIteration() : [null, null];
  const followIteration = () => {
    const open = openIteration();
    if (String(open) === String(shownIteration)) return;
    shownIteration = open;
    const address = new URL(location.href);
    ITERATION.forEach((name, index) => {
      if (open[index] === null) address.searchParams.delete(name);
      else address.searchParams.set(name, open[index]);
    });
    location.replace(address);
  };
  if (window.parent !== window && location.pathname.endsWith("/training")) {
    followIteration();
    setInterval(followIteration, 500);
  }

  localise(document);
  showReasons();
  plan();
})();
