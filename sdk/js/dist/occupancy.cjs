/*! @fanfarehq/client 0.1.0 | Apache-2.0 | https://github.com/fanfarehq/fanfare */
"use strict";
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

// src/occupancy.ts
var occupancy_exports = {};
__export(occupancy_exports, {
  occupancy: () => occupancy
});
module.exports = __toCommonJS(occupancy_exports);
function occupancy(ff, channel, changed, failed) {
  return new Promise((resolve, reject) => {
    let active = true;
    let numbers;
    let subscribed;
    const leave = () => subscribed?.then((sub) => sub.unsubscribe()).catch(() => {
    });
    const stop = (error) => {
      if (!active) return;
      active = false;
      for (const off of offs) off();
      if (error && !numbers) reject(error);
      else if (error) failed?.(error);
    };
    const failure = (code, message, remedy) => new ff.constructor.Error(code, message, remedy, { channel });
    const offs = [
      ff.on("unsubscribed", (ended) => {
        if (ended.channel === channel) stop(ended.error);
      }),
      ff.on("state", ({ current, error }) => {
        if (current === "closed") stop(error ?? (numbers ? void 0 : failure("closed", "The client is closed.", "Make a new Fanfare.")));
      })
    ];
    const counter = {
      channel,
      get numbers() {
        return numbers;
      },
      get active() {
        return active;
      },
      close: async () => {
        stop();
        await leave();
      }
    };
    const told = (frame) => {
      if (!active) return;
      if (frame instanceof Error) {
        if (frame.code !== "already_subscribed") stop(frame);
      } else if (frame.type === "occupancy") {
        const { subscribers, members } = frame.occupancy;
        const same = numbers?.subscribers === subscribers && numbers.members === members;
        numbers = { subscribers, members };
        resolve(counter);
        if (!same) changed(numbers);
      }
    };
    subscribed = ff.subscribe(channel, () => {
    }, { told, asks: { occupancy: true } });
    subscribed.then(
      () => active || void leave(),
      (error) => stop(error)
    );
  });
}
