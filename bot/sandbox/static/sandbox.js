"use strict";
// The sandbox's page: draws the state that the server streams, sends what a person does. No library.

const NBSP = "\u00a0";
const UNDER = {
  sending: "Envoi…",
  waiting: "La passerelle ne répond pas : Meta réessaie…".replace(" :", NBSP + ":"),
  refused: "Refusé par la passerelle",
};
const LINK = /\b(?:https?:\/\/)?(?:[a-z0-9-]+\.)+(?:fr|com|eu|org)\b(?:\/[^\s«»()]*[^\s«»().,;:!?])?/gi;

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function icon(name, className) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  if (className) svg.setAttribute("class", className);
  svg.append(use);
  return svg;
}

async function post(path, data) {
  let answer;
  try {
    answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(data),
    });
  } catch {
    notice("Le bac à sable ne répond plus. Relancez «\u00a0make demo\u00a0».");
    return null;
  }
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  notice(told.erreur || "");
  return answer.ok ? told : null;
}

function notice(text) {
  $("#notice").textContent = text;
}

// -- phones ------------------------------------------------------------------------------------------------------

class Phone {
  constructor(section, follow) {
    this.platform = section.dataset.platform;
    this.section = section;
    this.follow = follow;
    this.thread = $(".thread", section);
    this.list = $("[data-bubbles]", section);
    this.text = $("textarea", section);
    this.nodes = new Map();
    this.state = null;
    this.offered = "";
    this.editing = false;
    this.atEnd = true; // until the person scrolls up
    this.listen();
  }

  listen() {
    $("[data-composer]", this.section).addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      } else if (event.key === "Escape" && this.editing) {
        this.edit(false);
      }
    });
    this.text.addEventListener("input", () => this.grow());
    this.thread.addEventListener("scroll", () => {
      this.atEnd = this.thread.scrollHeight - this.thread.scrollTop - this.thread.clientHeight < 80;
    });
    new ResizeObserver(() => this.toEnd()).observe(this.thread);
    this.section.addEventListener("focusin", () => this.follow(this.platform));
    this.section.addEventListener("click", (event) => this.clicked(event.target.closest("button")));
  }

  clicked(button) {
    if (!button) return;
    if (button.dataset.gesture) {
      if (button.dataset.gesture === "nouveau") this.edit(false);
      this.do(button.dataset.gesture);
    } else if ("suggestion" in button.dataset) {
      this.do("texte", { text: button.textContent });
      this.text.focus();
    } else if ("edit" in button.dataset) {
      this.edit(true);
    } else if ("cancel" in button.dataset) {
      this.edit(false);
    } else if ("payload" in button.dataset) {
      this.do("reponse", { title: button.textContent, payload: button.dataset.payload });
      this.text.focus();
    }
  }

  do(gesture, more = {}) {
    this.follow(this.platform);
    return post("/gestes", { platform: this.platform, geste: gesture, ...more });
  }

  async send() {
    const text = this.text.value;
    if (!text.trim()) return;
    const gesture = this.editing ? "modifier" : "texte";
    this.edit(false);
    this.text.value = "";
    this.grow();
    if ((await this.do(gesture, { text })) === null && !this.text.value) this.text.value = text;
  }

  edit(on) {
    const target = this.state && this.state.editable;
    if (on && !target) return;
    if (on) this.text.value = target.text;
    else if (this.editing) this.text.value = "";
    this.editing = on;
    $("[data-editing]", this.section).hidden = !on;
    this.grow();
    if (on) this.text.focus();
  }

  grow() {
    this.text.style.height = "auto";
    this.text.style.height = `${this.text.scrollHeight + 2}px`;
  }

  show(state) {
    if (this.state && this.state.person !== state.person) this.clear();
    this.state = state;
    $("[data-name]", this.section).textContent = state.name;
    $("[data-welcome]", this.section).hidden = state.bubbles.length > 0;
    $("[data-typing]", this.section).hidden = !state.typing;
    for (const button of $$("[data-needs]", this.section)) button.disabled = state[button.dataset.needs] === null;
    const changed = this.showBubbles(state.bubbles);
    const offeredChanged = this.showOffered(state.offered);
    if (changed || offeredChanged || state.typing) this.toEnd();
  }

  toEnd() {
    if (this.atEnd) this.thread.scrollTop = this.thread.scrollHeight;
  }

  clear() {
    this.list.replaceChildren();
    this.nodes.clear();
    this.atEnd = true;
  }

  showBubbles(bubbles) {
    let changed = false;
    let last = null;
    for (const bubble of bubbles) {
      const { note, ...plain } = bubble;
      const key = JSON.stringify(plain);
      const stamped = last === null || last !== bubble.at;
      last = bubble.at;
      const known = this.nodes.get(bubble.id);
      if (!known || known.key !== key) {
        changed = true;
        const items = drawBubble(bubble, stamped);
        if (known) known.items[0].before(...items);
        else this.list.append(...items);
        if (known) known.items.forEach((item) => item.remove());
        this.nodes.set(bubble.id, { key, items, note: known ? known.note : null });
      }
      changed = this.showNote(this.nodes.get(bubble.id), note) || changed;
    }
    return changed;
  }

  // It comes a moment after its bubble, which is not drawn anew for it.
  showNote(node, note) {
    const words = note ? noted(note) : "";
    if (words === (node.note ? node.note.textContent : "")) return false;
    if (node.note) node.note.remove();
    node.note = note ? make("li", "under note", words) : null;
    if (!node.note) return true;
    node.note.dataset.testid = "note";
    node.items[node.items.length - 1].after(node.note);
    return true;
  }

  showOffered(offered) {
    const key = JSON.stringify(offered);
    if (key === this.offered) return false;
    this.offered = key;
    const buttons = offered.map(({ title, payload }) => {
      const button = make("button", "chip", title);
      button.type = "button";
      button.dataset.payload = payload;
      return button;
    });
    $("[data-offered]", this.section).replaceChildren(...buttons);
    return true;
  }
}

function drawBubble(bubble, stamped) {
  const items = [];
  if (stamped) items.push(make("li", "stamp", bubble.at));
  const item = make("li", `bubble ${bubble.mine ? "mine" : "page"}`);
  item.dataset.testid = bubble.mine ? "mine" : "reply";
  item.append(make("span", "sr", bubble.mine ? `Vous${NBSP}: ` : `La page${NBSP}: `));
  if (bubble.state === "sending") item.classList.add("sending");
  if (bubble.withdrawn) {
    item.classList.add("gone");
    item.append("Message retiré");
  } else {
    item.append(...drawContent(bubble, item));
  }
  items.push(item);
  const under = underOf(bubble);
  if (under) items.push(make("li", bubble.state === "delivered" || bubble.state === "sending" ? "under" : "under bad", under));
  return items;
}

function noted(note) {
  const what = note.recognised ? "Question reconnue" : "Question la plus proche";
  const sure = note.chance === null ? [] : [`certitude ${note.chance}${NBSP}%`];
  return [`${what}${NBSP}: «${NBSP}${note.question}${NBSP}»`, ...sure, note.next].join(" · ");
}

function underOf(bubble) {
  if (!bubble.mine) return "";
  const marks = [];
  if (UNDER[bubble.state]) marks.push(UNDER[bubble.state]);
  if (bubble.edited && !bubble.withdrawn) marks.push("modifié");
  if (bubble.times > 1) marks.push(`livré ${bubble.times} fois par Meta`);
  if (bubble.seen) marks.push("Vu");
  return marks.join(" · ");
}

function drawContent(bubble, item) {
  if (bubble.kind === "text") return [...linked(bubble.text), ...bubble.links.map(opening)];
  if (bubble.kind === "place") {
    const place = make("span", "place", "Position partagée");
    place.prepend(icon("position"));
    return [place];
  }
  item.classList.add("bare");
  if (bubble.kind === "heart") return [icon("coeur", "heart"), make("span", "sr", "cœur")];
  if (bubble.kind === "voice") {
    const audio = make("audio");
    audio.controls = true;
    audio.preload = "none";
    audio.src = "/medias/vocal.wav";
    audio.setAttribute("aria-label", "Message vocal");
    return [audio];
  }
  const image = make("img", bubble.kind);
  image.src = bubble.kind === "thumb" ? "/medias/pouce.png" : "/medias/photo.png";
  image.alt = bubble.kind === "thumb" ? "pouce levé" : "photo d’un vélo contre un mur";
  if (bubble.kind === "photo") [image.width, image.height] = [208, 156];
  return [image];
}

function toPage(className, words, address) {
  const link = make("a", className, words);
  link.href = address;
  link.target = "_blank";
  link.rel = "noreferrer noopener";
  return link;
}

// A button of a template, under the text.
function opening({ title, url }) {
  const button = toPage("opening", title, url);
  button.title = url;
  return button;
}

function linked(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].startsWith("http") ? match[0] : `https://${match[0]}`;
    parts.push(text.slice(from, match.index), toPage("", match[0], address));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

// -- the panel ---------------------------------------------------------------------------------------------------

class Panel {
  constructor(section) {
    this.section = section;
    this.followed = "messenger";
    this.stories = {};
    this.drawn = "";
    for (const tab of $$("[data-follow]", section)) tab.addEventListener("click", () => this.follow(tab.dataset.follow));
  }

  follow(platform) {
    this.followed = platform;
    for (const tab of $$("[data-follow]", this.section)) {
      tab.setAttribute("aria-pressed", String(tab.dataset.follow === platform));
    }
    this.draw();
  }

  show(stories) {
    this.stories = stories;
    this.draw();
  }

  draw() {
    const story = this.stories[this.followed];
    const key = JSON.stringify([this.followed, story]);
    if (key === this.drawn) return;
    this.drawn = key;
    const who = $("[data-who]", this.section);
    who.dataset.owner = story ? story.owner : "";
    who.replaceChildren(...(story ? [`Qui répond${NBSP}: `, make("b", "", story.who)] : ["Personne n’a encore écrit ici."]));
    $("[data-hint]", this.section).hidden = Boolean(story && story.lines.length);
    $("[data-quiet]", this.section).textContent =
      story && story.quiet ? `Et ${story.quiet} accusés de Meta (échos, «\u00a0reçu\u00a0», «\u00a0vu\u00a0»), rangés sans suite.` : "";
    $("[data-story]", this.section).replaceChildren(...(story ? story.lines.map(drawLine) : []));
  }
}

function drawLine(line) {
  const item = make("li", line.way);
  item.dataset.tone = line.tone;
  item.append(
    make("span", "head", `${line.at} · ${line.title}`),
    make("span", "outcome", line.outcome),
  );
  if (line.words) item.append(make("span", "words", line.words));
  if (line.intent) item.append(meaning(line));
  if (line.reason) item.append(make("span", "reason", line.reason));
  return item;
}

function meaning(line) {
  const element = make("span", "meaning");
  element.append("compris", make("code", "", line.intent));
  if (line.confidence !== null) {
    const meter = make("meter");
    [meter.min, meter.max, meter.low, meter.high, meter.optimum, meter.value] = [0, 100, 40, 70, 100, line.confidence];
    meter.setAttribute("aria-label", "Confiance");
    element.append(meter, `${line.confidence}${NBSP}%`);
  }
  return element;
}

// -- the hour ----------------------------------------------------------------------------------------------------

class Hour {
  constructor(form) {
    this.ahead = 0;
    this.format = new Intl.DateTimeFormat("fr-FR", {
      timeZone: document.body.dataset.zone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const told = await post("/heure", { heure: $("select", form).value });
      if (told && told.recule) {
        notice("L’heure a reculé. Pour une histoire sans contretemps, prenez un nouveau citoyen.");
      }
    });
    setInterval(() => this.tick(), 250);
  }

  show(state) {
    this.ahead = state.now - Date.now();
    this.known = true;
    $("#simulated").hidden = !state.simulated;
    $("#night").hidden = !state.night;
    for (const hint of $$("[data-night]")) hint.hidden = !state.night;
    this.tick();
  }

  tick() {
    if (this.known) $("#clock").textContent = this.format.format(new Date(Date.now() + this.ahead));
  }
}

// -- all together ------------------------------------------------------------------------------------------------

function begin() {
  const panel = new Panel($(".panel"));
  const phones = $$(".phone").map((section) => new Phone(section, (platform) => panel.follow(platform)));
  const hour = new Hour($("#hour"));
  const source = new EventSource("/flux");
  let lost = false;
  source.onmessage = (event) => {
    const state = JSON.parse(event.data);
    if (lost) notice("");
    lost = false;
    for (const phone of phones) phone.show(state.phones[phone.platform]);
    panel.show(state.stories);
    hour.show(state);
    document.body.dataset.ready = "oui";
  };
  source.onerror = () => {
    lost = true;
    notice("Liaison perdue avec le bac à sable, nouvel essai…");
  };
}

begin();
