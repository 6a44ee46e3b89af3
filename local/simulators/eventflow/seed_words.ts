/** EventFlow's words for its statuses; most are confirmed. */
export const statuses = [
  "CONFIRMED",
  "Confirmed",
  "Bekräftad",
  "BEKRÄFTAD.",
  "CONFIRMED",
  "OFFERT",
  "Utkast",
  "Awaiting approval",
  "Avbokad",
] as const;
/** Clients. */
export const clients = [
  "Åbergs Bröllop & Fest",
  "Malmö Stad",
  "Kungsholmens Gymnasium",
  "Sjöströms Bygg AB",
  "Föreningen Nordan",
  "Hotell Havsbaden",
  "Örebro Marknad",
  "Lindqvist Event",
  "Gävle Hamn AB",
  "Västerås Teater",
] as const;
/** Kinds of event. */
export const occasions = [
  "Sommarfest",
  "Bröllop",
  "Kick-off",
  "Marknad",
  "Invigning",
  "Konsert",
  "Julbord",
] as const;
/** First names of contacts. */
export const firstNames = [
  "Åsa",
  "Göran",
  "Linnéa",
  "Björn",
  "Märta",
  "Erik",
  "Sofia",
  "Håkan",
] as const;
/** Last names of contacts. */
export const lastNames = ["Öberg", "Lindström", "Sjögren", "Håkansson", "Nyström", "Ek"] as const;
/** Streets. */
export const streets = [
  "Storgatan",
  "Ängsvägen",
  "Hamngatan",
  "Slottsallén",
  "Björkstigen",
] as const;
/** Internal notes, one of them empty. */
export const notes = [
  "Ring kunden en timme före leverans.",
  "Nycklar hämtas hos vaktmästaren.\nParkering på gården.",
  "",
  "OBS! Låg port, 2,9 m.",
] as const;
/** Places with their postal codes and coordinates. */
export const places = [
  { city: "Stockholm", postalCode: "111 29", latitude: 59.3251, longitude: 18.0711 },
  { city: "Göteborg", postalCode: "411 03", latitude: 57.7072, longitude: 11.9668 },
  { city: "Malmö", postalCode: "211 22", latitude: 55.6059, longitude: 13.0007 },
  { city: "Östersund", postalCode: "831 31", latitude: 63.1792, longitude: 14.6357 },
  { city: "Visby", postalCode: "621 57", latitude: 57.6348, longitude: 18.2948 },
] as const;
/** The host of the simulated files; the name does not resolve. */
export const fileHost = "https://files.eventflow.example";
