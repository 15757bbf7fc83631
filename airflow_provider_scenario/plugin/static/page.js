// Refreshes the page without reloading it, as long as something may change and the page is visible.
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

  // Times into the zone chosen in Airflow, or the browser's.
  const localise = (root) => {
    const options = { dateStyle: "short", timeStyle: "medium" };
    let format; // the Swedish format is Airflow's: 2026-01-31 17:05:00
    try {
      format = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: zone() });
    } catch {
      format = new Intl.DateTimeFormat("sv-SE", options);
    }
    for (const time of root.querySelectorAll("time[datetime]")) {
      time.textContent = format.format(new Date(time.dateTime));
    }
  };

  // Changes only what differs, so that focus, scrolling, open dialogs and loaded pictures stay.
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

  // A task's log comes from Airflow's own API, which checks that the viewer may read it.
  const linesOf = async (address) => {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()).content.filter((line) => line.event && line.event !== "::endgroup::");
  };

  // Lines about Airflow's own work: where the log is, that it loads the DAG, that it pushes an XCom.
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
      lines = [{ event: "Airflow does not return the log now. Open the task's Logs tab.", level: "warning" }];
    }
    own.replaceChildren(...lines.filter((line) => !isAirflows(line)).map(asItem));
    airflows.replaceChildren(...lines.filter(isAirflows).map(asItem));
    localise(details);
  };

  document.addEventListener("toggle", ({ target }) => target.dataset.log && target.open && readLog(target), true);

  // Only a task's log says why it has failed. It is read for visible rows, one after the other.
  const MOST_REASONS = 100;
  const reasons = new Map(); // address of a log → first line of its last error
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
      return; // the viewer may not read logs, or there is none: the row shows no reason
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

  const showNotice = (text) => {
    offline.textContent = text;
    offline.hidden = !text;
  };

  const refresh = async () => {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.status === 401 || answer.status === 403) {
        showNotice("You are no longer logged in, or may no longer see this. Log in to Airflow and open the page again.");
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
      showNotice("");
    } catch {
      failures += 1;
      showNotice("Airflow does not answer. The page may be out of date; it tries again by itself.");
    }
    scheduleRefresh();
  };

  const scheduleRefresh = () => {
    clearTimeout(timer);
    const seconds = Number(page.dataset.refresh);
    if (seconds && !document.hidden) timer = setTimeout(refresh, 1000 * seconds * Math.min(6, 1 + failures));
  };

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden && page.dataset.refresh) refresh();
  });

  // A picture opens large inside the page: the frame in which Airflow shows the page must not open a window.
  const viewer = document.getElementById("viewer");
  let enlarged = null; // the button of the large picture

  const gallery = () => [...(enlarged.closest("section")?.querySelectorAll("[data-picture]") ?? [enlarged])];

  const enlarge = (button) => {
    const [small, large] = [button, viewer].map((place) => place.querySelector("img"));
    enlarged = button;
    large.classList.remove("missing");
    delete large.dataset.tried;
    if (!small.complete) large.removeAttribute("src"); // or the picture before would be shown with this caption
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

  // A picture that cannot be loaded is tried once more, then marked as missing.
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

  // Airflow 3.4 names the open iteration of a loop only in its own address: the address of a tab has no place for it.
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
  scheduleRefresh();
})();
