// Checks a record's inclusion proof (RFC 9162) with this browser's own cryptography. Nothing but the proof is fetched,
// nothing is sent. What each step computes is shown beside what it must be.
"use strict";
(() => {
  const panel = document.getElementById("proof");
  if (!panel) return;
  const list = document.getElementById("checks"), verdict = document.getElementById("verdict"), button = document.getElementById("check");
  const encoder = new TextEncoder();

  const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const unhex = (text) => {
    if (typeof text !== "string" || !/^([0-9a-f]{2})*$/.test(text)) throw new Error(`not hexadecimal: ${String(text).slice(0, 80)}`);
    return Uint8Array.from(text.match(/../g) || [], (pair) => parseInt(pair, 16));
  };
  const unbase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const sha256 = async (...parts) => {
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) { whole.set(part, at); at += part.length; }
    return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
  };
  const node = (left, right) => sha256(Uint8Array.of(1), left, right);

  // RFC 9162, section 2.1.3.2. Sizes stay exact below 2^53, so halves are taken by division, not by bits.
  async function rootOf(leaf, index, size, path, note) {
    let at = index, last = size - 1, root = leaf;
    if (!(index >= 0 && index < size)) throw new Error(`leaf ${index} is not in a tree of ${size}`);
    for (const [step, sibling] of path.entries()) {
      if (last === 0) throw new Error("the path is too long for this tree");
      const left = at % 2 === 1 || at === last;
      root = left ? await node(unhex(sibling), root) : await node(root, unhex(sibling));
      if (left) while (at % 2 === 0 && at !== 0) { at /= 2; last = Math.floor(last / 2); }
      at = Math.floor(at / 2);
      last = Math.floor(last / 2);
      note(`${step + 1}. ${left ? "SHA-256(01 ‖ sibling ‖ node)" : "SHA-256(01 ‖ node ‖ sibling)"}, sibling ${sibling} → ${hex(root)}`);
    }
    if (last !== 0) throw new Error("the path is too short for this tree");
    return root;
  }

  // --- what a person sees -----------------------------------------------------------------------------------------
  const MARKS = { true: "✓", false: "✗", null: "–" };
  let results = [];
  function show(title, holds, ...lines) {
    results.push(holds);
    const item = document.createElement("li"), mark = document.createElement("strong"), box = document.createElement("div"), head = document.createElement("span");
    item.dataset.holds = String(holds);
    mark.textContent = MARKS[holds];
    mark.setAttribute("aria-label", { true: "holds", false: "does not hold", null: "not checked" }[holds]);
    head.textContent = title;
    box.append(head);
    for (const line of lines) { const value = document.createElement("code"); value.textContent = line; box.append(value); }
    item.append(mark, box);
    list.append(item);
    return holds === true;
  }
  const equal = (title, computed, wanted, from) => show(title, computed === wanted, computed, ...(computed === wanted ? [] : [`${from}: ${wanted}`]));
  function conclude(sentence, holds) {
    verdict.textContent = sentence;
    verdict.dataset.holds = String(holds);
  }

  // --- the checkpoint ----------------------------------------------------------------------------------------------
  const line = (checkpoint) => (typeof checkpoint === "string" ? checkpoint.trim() : JSON.stringify(checkpoint));
  const signedPart = (text) => {
    const found = /^(.*),"signature":"([A-Za-z0-9+/=]+)"\}$/s.exec(text);
    if (!found) throw new Error("the checkpoint does not end with its signature");
    return { bytes: encoder.encode(`${found[1]}}`), signature: unbase64(found[2]) };
  };
  const spki = (pem) => unbase64(pem.replace(/-----(BEGIN|END) PUBLIC KEY-----|\s/g, ""));
  const read = async (id) => { const file = document.getElementById(id).files[0]; return file ? { name: file.name, text: await file.text() } : null; };

  async function verifySignature(text, keyId, pem, whose) {
    const { bytes, signature } = signedPart(text), raw = spki(pem);
    const lines = [`signed bytes ${hex(await sha256(bytes))} (SHA-256 of ${bytes.length} bytes)`, `signature ${hex(signature)}`, `public key ${hex(raw.slice(-32))}, ${whose}`];
    const identity = hex(await sha256(raw.slice(-32))).slice(0, keyId.length);
    show("Id of the public key, against the checkpoint's", identity === keyId && keyId.length >= 16, identity, ...(identity === keyId ? [] : [`the checkpoint's: ${keyId}`]));
    let key;
    try {
      key = await crypto.subtle.importKey("spki", raw, { name: "Ed25519" }, false, ["verify"]);
    } catch (error) {
      if (error.name !== "NotSupportedError") throw error;
      show("Signature of the checkpoint", null, ...lines, "this browser has no Ed25519; python audit/verifier.py checks it");
      return;
    }
    show("Signature of the checkpoint (Ed25519)", await crypto.subtle.verify({ name: "Ed25519" }, key, signature, bytes), ...lines);
  }
  function compareOwn(own, text, checkpoint) {
    const title = `Your copy ${own.name}`;
    const lines = own.text.split("\n").map((one) => one.trim()).filter(Boolean);
    const same = lines.filter((one) => { try { const found = JSON.parse(one); return found.number === checkpoint.number && found.writer === checkpoint.writer; } catch { return false; } });
    if (!same.length) show(title, null, `it holds no checkpoint ${checkpoint.number} of ${checkpoint.writer}: nothing to compare with`);
    else show(title, same.every((one) => one === text), same.every((one) => one === text) ? `checkpoint ${checkpoint.number} is the same, byte for byte` : `its checkpoint ${checkpoint.number} is another: ${same.find((one) => one !== text)}`);
  }

  async function steps(proof) {
    const stored = document.getElementById("stored");
    if (stored.dataset.whole === "true") show("The proof is about the bytes on this page", proof.raw === stored.textContent);
    const record = JSON.parse(proof.raw);
    show("Writer and number", record.writer === panel.dataset.writer && String(record.seq) === panel.dataset.seqOf, `${record.writer} ${record.seq}`);
    const recordHash = await sha256(encoder.encode(proof.raw));
    equal("SHA-256 of the stored bytes", hex(recordHash), panel.dataset.hash, "this page's hash");
    if (proof.record_hash !== panel.dataset.hash) equal("Hash that the proof names", proof.record_hash, panel.dataset.hash, "this page's hash");
    const leaf = await sha256(Uint8Array.of(0), recordHash);
    show("Leaf: SHA-256(00 ‖ that hash)", true, hex(leaf));
    const text = line(proof.checkpoint), checkpoint = JSON.parse(text);
    const notes = [];
    let root = null;
    try {
      root = hex(await rootOf(leaf, record.seq, checkpoint.tree_size, proof.path, (note) => notes.push(note)));
    } catch (error) {
      notes.push(error.message);
    }
    show(`Path from leaf ${record.seq} to the root of ${checkpoint.tree_size} records, ${proof.path.length} steps`, root !== null, ...notes);
    if (root !== null) equal("Root that the path leads to, against the checkpoint's", root, checkpoint.root, "the checkpoint's root");
    show(`Checkpoint ${checkpoint.number}`, checkpoint.writer === record.writer && proof.root === checkpoint.root && proof.tree_size === checkpoint.tree_size, text);
    const ownKey = await read("own-key"), own = await read("own-checkpoints");
    await verifySignature(text, checkpoint.key, ownKey ? ownKey.text : proof.public_key, ownKey ? `yours (${ownKey.name})` : "the station's own: load your copy to rely on nothing here");
    if (own) compareOwn(own, text, checkpoint);
  }

  async function check() {
    list.replaceChildren();
    results = [];
    if (!window.isSecureContext || !crypto.subtle) {
      conclude("Not checked: a browser computes hashes only for pages from this machine or over TLS, and this one came by plain HTTP from elsewhere. Start the station with --tls, or use python audit/verifier.py.", null);
      return;
    }
    button.disabled = true;
    conclude("Fetching the proof…", null);
    try {
      const answer = await fetch(panel.dataset.url), proof = await answer.json();
      if (proof.error) { conclude(`No proof yet: ${proof.error}`, null); return; }
      await steps(proof);
      const bad = results.filter((holds) => holds === false).length, unknown = results.filter((holds) => holds === null).length;
      if (bad) conclude(`✗ It does not hold: ${bad} of ${results.length} steps failed. Keep this page's data and your copies, and verify the whole record.`, false);
      else if (unknown) conclude(`What could be checked holds; ${unknown} of ${results.length} steps could not be checked here.`, null);
      else conclude(`✓ All ${results.length} steps hold: this record is in the signed tree exactly as it stands here.`, true);
    } catch (error) {
      show("The proof cannot be followed", false, String(error.message || error));
      conclude("✗ It does not hold: the proof cannot be followed.", false);
    } finally {
      button.disabled = false;
    }
  }
  button.addEventListener("click", check);
})();
