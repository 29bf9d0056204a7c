// What every script here shares: the official SDK, pointed at octavo by its own option.

export const { Codex } = await import(process.env.SDK_MODULE);

export const given = JSON.parse(process.argv[2]);

export const codex = (options = {}) =>
  new Codex({
    codexPathOverride: process.env.OCTAVO_PROGRAM,
    baseUrl: given.baseUrl,
    apiKey: "sk-scripted-key",
    ...options,
  });

export const tell = (value) => console.log(JSON.stringify(value));

export const caught = async (work) => {
  try {
    await work();
    return null;
  } catch (error) {
    return { name: error.name, message: error.message };
  }
};
