// Written by `octavo app-server schema`; do not edit.
export type AccountReadParams = {
  refreshToken?: boolean | null;
};
/** `requires_openai_auth`: the configured provider cannot be asked without a key. */
export type AccountReadResult = {
  account: ApiKeyAccount | null;
  requiresOpenaiAuth: boolean;
};
/** There is a key now, or none any more. */
export type AccountUpdated = {
  authMode: "apikey" | null;
  planType: null;
};
/** What a command is to get besides what the policy gives. */
export type AdditionalPermissions = {
  fileSystem: FileSystemGrant | null;
  network: NetworkGrant | null;
};
/** What the model said. */
export type AgentMessage = {
  type: "agentMessage";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  text: string;
  phase: string | null;
  moderation: null;
  memoryCitation: null;
  delivery: null;
  questions: null;
};
/** A piece of a message. */
export type AgentMessageDelta = {
  threadId: string;
  turnId: string;
  itemId: string;
  delta: string;
};
/** There is a key for the provider. It is never told. */
export type ApiKeyAccount = {
  type: "apiKey";
};
/** One remembered yes. `words` are of a prefix, `host` of a host. */
export type Approval = {
  id: string;
  covers: "exact" | "host" | "prefix";
  scope: "always" | "project";
  command: string;
  createdAt: number;
  project: string | null;
  cwd: string | null;
  words: Array<string>;
  host: string | null;
};
/** `decision`: one of those that were offered; anything else is a no. */
export type ApprovalResult = {
  decision: unknown;
  octavoRemember?: string | null;
};
export type ApprovalsListResult = {
  data: Array<Approval>;
};
/** Some by id, or all. */
export type ApprovalsRevokeParams = {
  ids?: Array<string>;
  all?: boolean;
};
export type ApprovalsRevokeResult = {
  revoked: number;
};
/** The most that something may take; null is no limit. `max_time_s` is of a turn only. */
export type Budget = {
  maxCostUsd?: number | null;
  maxTokens?: number | null;
  maxTimeS?: number | null;
};
/** What the client wants. */
export type Capabilities = {
  optOutNotificationMethods?: Array<string> | null;
  experimentalApi?: boolean;
};
/** Who connects. */
export type ClientInfo = {
  name: string;
  version?: string;
  title?: string | null;
};
/** May this command run as it asks to? Text is safe to print; `octavoCommand` is as it is. */
export type CommandApprovalParams = {
  threadId: string;
  turnId: string;
  itemId: string;
  kind: "command";
  startedAtMs: number;
  approvalId: string | null;
  environmentId: string | null;
  command: string;
  cwd: string;
  reason: string | null;
  commandActions: Array<Record<string, unknown>>;
  availableDecisions: Array<unknown>;
  proposedExecpolicyAmendment?: Array<string>;
  networkApprovalContext?: NetworkContext;
  proposedNetworkPolicyAmendments?: Array<NetworkAmendment>;
  additionalPermissions?: AdditionalPermissions;
  octavoCommand?: string;
  octavoOutside?: boolean;
  octavoWhy?: string | null;
  octavoJustification?: string | null;
  octavoRules?: unknown;
  octavoPrograms?: Array<Program>;
  octavoPaths?: Array<string>;
  octavoOffers?: Array<Offer>;
  octavoHosts?: Array<string>;
  octavoPort?: number | null;
};
/** Output of a command that the client runs by itself; `cap_reached`: some was left out. */
export type CommandExecOutput = {
  processId: string;
  stream: "stderr" | "stdout";
  deltaBase64: string;
  capReached: boolean;
};
/** A command, answered when it has ended. Attributes: command: the program and its arguments; no shell reads them. cwd: where it runs, and its workspace; the server's by default. env: laid over the environment that the settings give commands; null takes a name out. process_id: names it in other requests of this connection; needed for `tty` and streams. sandbox_policy: instead of the settings'. tty: it has a terminal of `size`, written to and read in streams. timeout_ms: 10,000 by default; then it is killed, and its exit code is 124. output_bytes_cap: of each stream, 1 MiB by default; what is more is left out. */
export type CommandExecParams = {
  command: Array<string>;
  cwd?: string | null;
  env?: Record<string, string | null> | null;
  processId?: string | null;
  sandboxPolicy?: SandboxPolicy | null;
  tty?: boolean | null;
  size?: TerminalSize | null;
  streamStdin?: boolean | null;
  streamStdoutStderr?: boolean | null;
  timeoutMs?: number | null;
  disableTimeout?: boolean | null;
  outputBytesCap?: number | null;
  disableOutputCap?: boolean | null;
};
export type CommandExecResizeParams = {
  processId: string;
  size: TerminalSize;
};
/** What was not streamed of its output. `exit_code` is 128+n when signal n ended it. */
export type CommandExecResult = {
  exitCode: number;
  stdout: string;
  stderr: string;
};
export type CommandExecTerminateParams = {
  processId: string;
};
export type CommandExecWriteParams = {
  processId: string;
  deltaBase64?: string | null;
  closeStdin?: boolean | null;
};
/** A command the model ran, or a person ("userShell"). `aggregated_output` is what the model was shown of its output. */
export type CommandExecution = {
  type: "commandExecution";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  command: string;
  cwd: string;
  status: "completed" | "declined" | "failed" | "inProgress";
  processId: string | null;
  source: "agent" | "userShell";
  commandActions: Array<Record<string, unknown>>;
  aggregatedOutput: string | null;
  exitCode: number | null;
  durationMs: number | null;
  pluginId: null;
  scriptPath: null;
};
/** Output of a running command. */
export type CommandOutputDelta = {
  threadId: string;
  turnId: string;
  itemId: string;
  delta: string;
};
/** What the model is shown was made smaller; the item `contextCompaction` says it, too. */
export type Compacted = {
  threadId: string;
  turnId: string;
};
/** All of the edits, in order, or none of them. Attributes: reload_user_config: ignored. New threads have the new settings; one that is loaded keeps those it was started with. */
export type ConfigBatchWriteParams = {
  edits: Array<ConfigEdit>;
  filePath?: string | null;
  expectedVersion?: string | null;
  reloadUserConfig?: boolean;
};
export type ConfigEdit = {
  keyPath: string;
  value: unknown;
  mergeStrategy: "replace" | "upsert";
};
/** What one file, or the command line, sets, with secrets masked. */
export type ConfigLayer = {
  name: ConfigSource;
  version: string;
  config: Record<string, unknown>;
  disabledReason: null;
};
/** `version` is a digest of the file; empty where there is none. */
export type ConfigOrigin = {
  name: ConfigSource;
  version: string;
};
/** Of a thread in `cwd`; the server's own directory by default. */
export type ConfigReadParams = {
  cwd?: string | null;
  includeLayers?: boolean | null;
};
/** The settings that hold, defaults too, with secrets masked; `origins` by dotted key. `layers` are there if they were asked for, the strongest first. The person's own is always among them: its version is what a write can expect. */
export type ConfigReadResult = {
  config: Record<string, unknown>;
  origins: Record<string, ConfigOrigin>;
  layers: Array<ConfigLayer> | null;
};
/** There is no way to enforce settings, so there are none that are. */
export type ConfigRequirementsReadResult = {
  requirements: null;
  supportsIndependentSpeedModes: null;
};
/** Who set a value: a file, or the command line ("sessionFlags"). */
export type ConfigSource = {
  type: "project" | "sessionFlags" | "system" | "user";
  file?: string | null;
  profile?: string | null;
  dotCodexFolder?: string | null;
};
/** `key_path` is dotted, as in TOML. A value of null takes the key out. Attributes: merge_strategy: "upsert" lays a table over the one that is there; null takes out. file_path: the person's own file, or that of the profile the server was started with. expected_version: what `config/read` told of that file. */
export type ConfigValueWriteParams = {
  keyPath: string;
  value: unknown;
  mergeStrategy: "replace" | "upsert";
  filePath?: string | null;
  expectedVersion?: string | null;
};
/** The file is written. "okOverridden": what was written does not count here. */
export type ConfigWriteResult = {
  status: "ok" | "okOverridden";
  version: string;
  filePath: string;
  overriddenMetadata: OverriddenMetadata | null;
};
/** What the model is shown of the thread was made smaller. */
export type ContextCompaction = {
  type: "contextCompaction";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  octavoKind: "local" | "remote" | "trimmed" | null;
  octavoTokensBefore: number | null;
  octavoTokensAfter: number | null;
};
/** None: the server's own working directory. */
export type CwdParams = {
  cwd?: string | null;
};
/** The turn's file changes so far, as one unified diff. */
export type DiffUpdated = {
  threadId: string;
  turnId: string;
  diff: string;
};
/** A call of a tool that has no item of its own, or one that could not begin. */
export type DynamicToolCall = {
  type: "dynamicToolCall";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  tool: string;
  arguments: unknown;
  status: "completed" | "failed" | "inProgress";
  contentItems: Array<Record<string, string>> | null;
  success: boolean | null;
  namespace: string | null;
  durationMs: number | null;
};
/** An MCP server asks the person; or octavo asks whether its tool may be called. The latter has `codex_approval_kind` in `_meta`, and an empty form. */
export type ElicitationParams = {
  threadId: string;
  turnId: string;
  serverName: string;
  mode: "form" | "url";
  message: string;
  requestedSchema?: unknown;
  url?: string;
  elicitationId?: null;
  _meta?: unknown;
  octavoItemId?: string;
  octavoWhy?: string;
  octavoArguments?: string;
  octavoOffers?: Array<Offer>;
};
/** What was filled in, with "accept". `persist` in `_meta` ("session") remembers a yes. */
export type ElicitationResult = {
  action: "accept" | "cancel" | "decline";
  content?: unknown;
  _meta?: unknown;
};
/** A request failed; `will_retry` says whether it is repeated or the turn ends. */
export type ErrorHappened = {
  error: TurnError;
  willRetry: boolean;
  threadId: string;
  turnId: string;
};
/** A patch. */
export type FileChange = {
  type: "fileChange";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  changes: Array<FileUpdateChange>;
  status: "completed" | "declined" | "failed" | "inProgress";
};
/** May these files be changed? */
export type FileChangeApprovalParams = {
  threadId: string;
  turnId: string;
  itemId: string;
  startedAtMs: number;
  reason: string | null;
  grantRoot: string | null;
  octavoPaths: Array<string>;
  octavoOffers: Array<Offer>;
};
export type FileSystemGrant = {
  write: Array<string>;
};
/** One file of a change, with its unified diff. */
export type FileUpdateChange = {
  path: string;
  kind: Kind;
  diff: string;
};
/** Something happened to what a client watches; told a little later, several at once. */
export type FsChanged = {
  watchId: string;
  changedPaths: Array<string>;
};
/** `recursive` is needed for a directory. */
export type FsCopyParams = {
  sourcePath: string;
  destinationPath: string;
  recursive?: boolean;
};
/** `recursive`, which it is unless said otherwise: parents too, and it may be there already. */
export type FsCreateDirectoryParams = {
  path: string;
  recursive?: boolean | null;
};
export type FsDirectoryEntry = {
  fileName: string;
  isDirectory: boolean;
  isFile: boolean;
};
/** Of what a path leads to. `created_at_ms` is 0: it is not known. */
export type FsMetadata = {
  isDirectory: boolean;
  isFile: boolean;
  isSymlink: boolean;
  createdAtMs: number;
  modifiedAtMs: number;
};
export type FsPathParams = {
  path: string;
};
export type FsReadDirectoryResult = {
  entries: Array<FsDirectoryEntry>;
};
export type FsReadFileResult = {
  dataBase64: string;
};
/** Both are true unless said otherwise. `force`: that there is nothing is no error. */
export type FsRemoveParams = {
  path: string;
  recursive?: boolean | null;
  force?: boolean | null;
};
export type FsUnwatchParams = {
  watchId: string;
};
/** `watch_id` is the client's own, for `fs/changed` and `fs/unwatch`. */
export type FsWatchParams = {
  watchId: string;
  path: string;
};
/** `path` without links. */
export type FsWatchResult = {
  path: string;
};
/** The file is made, or its content replaced; its directory has to be there. */
export type FsWriteFileParams = {
  path: string;
  dataBase64: string;
};
/** What another program said through a client, as text or as parts of content. */
export type FunctionCallOutput = {
  type: "functionCallOutput";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  name: string;
  namespace: string | null;
  output: string | Array<Record<string, unknown>>;
};
/** `cancellation_token`: a later search with the same one ends this one, with nothing found. */
export type FuzzyFileSearchParams = {
  query: string;
  roots: Array<string>;
  cancellationToken?: string | null;
};
/** The best first, at most 50. */
export type FuzzyFileSearchResponse = {
  files: Array<FuzzyFileSearchResult>;
};
/** A path below one of the roots. Attributes: score: the higher the better; comparable within one answer. indices: where in `path` the letters of the query are, counted in characters. */
export type FuzzyFileSearchResult = {
  root: string;
  path: string;
  match_type: "directory" | "file";
  file_name: string;
  score: number;
  indices: Array<number>;
};
/** All that a search would find was told, until there is another query. */
export type FuzzySearchCompleted = {
  sessionId: string;
};
/** What a search for files has found for `query`, the best first. */
export type FuzzySearchUpdated = {
  sessionId: string;
  query: string;
  files: Array<FuzzyFileSearchResult>;
};
/** What is past a limit and stays all the same, and why. */
export type GcKept = {
  what: string;
  why: string;
};
/** Limits that are not given are those of the settings (`gc.…`). Attributes: apply: do it. Without, nothing is changed, and the result is what would be done. */
export type GcParams = {
  apply?: boolean;
  maxAgeDays?: number | null;
  snapshotsBytes?: number | null;
  outputsBytes?: number | null;
};
/** What was done, or with `applied` false would be. Attributes: archives: the files that were written, for what exists nowhere else. They are never removed. freed_bytes: of the steps that did not fail. */
export type GcResult = {
  applied: boolean;
  steps: Array<GcStep>;
  kept: Array<GcKept>;
  archives: Array<string>;
  freedBytes: number;
};
/** One thing that is let go. Attributes: kind: "snapshots" of one workspace, the kept "output" of a command, a "lock" nobody holds, a "log" without an event, a "write" that was cut off, a "clone" left in the temporary folder, the "index". path: where it is. detail: one line for a person. bytes: what this frees, about; archives are not counted. archives: whether some of it exists nowhere else and is put away first. failed: why it was not done after all. */
export type GcStep = {
  kind: "clone" | "index" | "lock" | "log" | "output" | "snapshots" | "write";
  path: string;
  detail: string;
  bytes: number;
  archives: boolean;
  failed: string | null;
};
/** Where the working directory's repository stood when the thread began. */
export type GitInfo = {
  sha: string | null;
  branch: string | null;
  originUrl: string | null;
};
/** `cleared`: there was one. */
export type GoalClearResult = {
  cleared: boolean;
};
/** A thread has no goal any more. */
export type GoalCleared = {
  threadId: string;
};
export type GoalGetResult = {
  goal: ThreadGoal | null;
};
/** Begin a goal, or change the one there is; what is left out stays as it is. Another objective is another goal, and so is any once the last one is complete. A budget of null is none. */
export type GoalSetParams = {
  threadId: string;
  objective?: string | null;
  status?: "active" | "blocked" | "budgetLimited" | "complete" | "paused" | "usageLimited" | null;
  tokenBudget?: number | null;
};
export type GoalSetResult = {
  goal: ThreadGoal;
};
/** A thread has a goal, or something about it changed; also after each turn it took. */
export type GoalUpdated = {
  threadId: string;
  turnId: string | null;
  goal: ThreadGoal;
};
/** Which kinds of question are to be asked. */
export type Granular = {
  sandbox_approval: boolean;
  rules: boolean;
  mcp_elicitations: boolean;
  request_permissions?: boolean;
  skill_approval?: boolean;
};
/** An approval policy by kinds of question. */
export type GranularApproval = {
  granular: Granular;
};
/** A hook has run; `run.entries` is what it said. */
export type HookCompleted = {
  threadId: string;
  turnId: string | null;
  run: HookRun;
};
/** Something a hook said. Attributes: kind: "warning" and "error" are for the person; "context" and "feedback" for the model; "stop" is why the turn ends. */
export type HookEntry = {
  kind: "context" | "error" | "feedback" | "stop" | "warning";
  text: string;
};
/** What is wrong with a file that names hooks. */
export type HookErrorInfo = {
  path: string;
  message: string;
};
/** One hook that a file names. Attributes: key: stands for its place: file, event, number of the group and number in it. enabled: it runs. current_hash: of what it says; with a project's, of the file and the scripts it names, too. trust_status: "trusted" is the person's own, or a project's that they agreed to. octavo_outside: it runs outside of the sandbox, as the person's own settings say. */
export type HookMetadata = {
  key: string;
  eventName: "permissionRequest" | "postCompact" | "postToolUse" | "preCompact" | "preModelRequest" | "preToolUse" | "sessionEnd" | "sessionStart" | "stop" | "userPromptSubmit";
  sourcePath: string;
  source: "project" | "system" | "user";
  displayOrder: number;
  enabled: boolean;
  currentHash: string;
  trustStatus: "managed" | "modified" | "trusted" | "untrusted";
  timeoutSec: number;
  command: string;
  matcher: string | null;
  statusMessage: string | null;
  handlerType: "command";
  executionMode: "sync";
  async: boolean;
  pluginId: null;
  isManaged: boolean;
  additionalContextLimit: number | null;
  octavoOutside: boolean;
};
/** A hook that runs or has run. Attributes: id: of this run alone. source_path: the file that names the hook. display_order: its place among all hooks. status: "blocked": it said no; "stopped": it ended the turn; "failed": it did not do what it should, and nothing it said counts. started_at: in seconds, as on the wire. */
export type HookRun = {
  id: string;
  eventName: "permissionRequest" | "postCompact" | "postToolUse" | "preCompact" | "preModelRequest" | "preToolUse" | "sessionEnd" | "sessionStart" | "stop" | "userPromptSubmit";
  sourcePath: string;
  source: "project" | "system" | "user";
  displayOrder: number;
  status: "blocked" | "completed" | "failed" | "running" | "stopped";
  startedAt: number;
  scope: "thread" | "turn";
  handlerType: "command";
  executionMode: "sync";
  statusMessage: string | null;
  completedAt: number | null;
  durationMs: number | null;
  entries: Array<HookEntry>;
};
/** A hook runs. */
export type HookStarted = {
  threadId: string;
  turnId: string | null;
  run: HookRun;
};
/** The hooks of a thread in `cwd`. `warnings` say which do not run, and why. */
export type HooksListEntry = {
  cwd: string;
  hooks: Array<HookMetadata>;
  warnings: Array<string>;
  errors: Array<HookErrorInfo>;
};
/** Of which directories; the server's own when there is none. */
export type HooksListParams = {
  cwds?: Array<string>;
};
export type HooksListResult = {
  data: Array<HooksListEntry>;
};
/** An image by URL, data URLs included. */
export type ImageUrl = {
  type: "image";
  url: string;
};
/** An image the model looked at. */
export type ImageView = {
  type: "imageView";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  path: string;
};
/** What the new index holds; `stored` is false where it could not be written. */
export type IndexRebuildResult = {
  threads: number;
  messages: number;
  stored: boolean;
  durationMs: number;
};
export type InitializeParams = {
  clientInfo: ClientInfo;
  capabilities?: Capabilities | null;
};
export type InitializeResult = {
  userAgent: string;
  codexHome: string;
  platformFamily: string;
  platformOs: string;
};
/** Items of the Responses API: messages, and calls that come with their outputs. */
export type InjectItemsParams = {
  threadId: string;
  items: Array<Record<string, unknown>>;
};
/** An item of the turn that is listed; the page begins next to it. */
export type ItemAnchor = {
  itemId: string;
  type: "item";
};
/** Something is done; `item` is its final form. */
export type ItemCompleted = {
  threadId: string;
  turnId: string;
  item: UserMessage | FunctionCallOutput | AgentMessage | Reasoning | CommandExecution | FileChange | McpToolCall | DynamicToolCall | WebSearch | ImageView | ContextCompaction;
  completedAtMs: number;
};
export type ItemEntry = {
  item: UserMessage | FunctionCallOutput | AgentMessage | Reasoning | CommandExecution | FileChange | McpToolCall | DynamicToolCall | WebSearch | ImageView | ContextCompaction;
  turnId: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
};
/** Something began to be written or to run. */
export type ItemStarted = {
  threadId: string;
  turnId: string;
  item: UserMessage | FunctionCallOutput | AgentMessage | Reasoning | CommandExecution | FileChange | McpToolCall | DynamicToolCall | WebSearch | ImageView | ContextCompaction;
  startedAtMs: number;
};
/** Oldest first by default; of one turn, or of all. */
export type ItemsListParams = {
  threadId: string;
  turnId?: string | null;
  cursor?: string | ItemAnchor | null;
  limit?: number | null;
  sortDirection?: "asc" | "desc" | null;
};
export type ItemsListResult = {
  data: Array<ItemEntry>;
  nextCursor: string | null;
  backwardsCursor: string | null;
};
/** How a file changes. */
export type Kind = {
  type: "add" | "delete" | "update";
  move_path?: string | null;
};
/** A part of the list, as others are. */
export type LoadedListParams = {
  cursor?: string | null;
  limit?: number | null;
};
/** Ids of threads. */
export type LoadedListResult = {
  data: Array<string>;
  nextCursor: string | null;
};
/** An image file on this machine. */
export type LocalImage = {
  type: "localImage";
  path: string;
};
export type LoginCancelParams = {
  loginId: string;
};
/** A key is stored at once, so there is never anything to cancel. */
export type LoginCancelResult = {
  status: "notFound";
};
/** A key was stored. */
export type LoginCompleted = {
  success: boolean;
  loginId: string | null;
  error: string | null;
};
/** Only "apiKey" is known. The key is stored for the configured provider. */
export type LoginStartParams = {
  type: string;
  apiKey?: string | null;
};
export type LoginStartResult = {
  type: "apiKey";
};
/** `digest`: of what the person was shown; something else is not agreed to. */
export type McpAcceptParams = {
  server: string;
  digest: string;
  cwd?: string | null;
};
export type McpAcceptResult = {
  tools: number;
};
export type McpChangesParams = {
  server: string;
  cwd?: string | null;
};
/** What a server says now, beside what was agreed to. Attributes: lines: to be shown to the person; nothing invisible is in them. digest: stands for all of it, to be given back with the yes. */
export type McpChangesResult = {
  agreement: "agreed" | "changed" | "seen" | "unknown";
  lines: Array<string>;
  tools: number;
  digest: string;
};
/** Why there is no result. */
export type McpError = {
  message: string;
};
export type McpLogoutParams = {
  server: string;
  cwd?: string | null;
};
/** `warning`: why its tokens could not be revoked as well; they are forgotten all the same. */
export type McpLogoutResult = {
  wasLoggedIn: boolean;
  warning: string | null;
};
/** A login at an MCP server came about, or did not; `login_id` as its request gave it. */
export type McpOauthLoginCompleted = {
  name: string;
  success: boolean;
  error: string | null;
  loginId: string | null;
  threadId: string | null;
};
/** A person logs in at a server. Without a thread, at one that a thread here would have. Attributes: scopes: None: what the server asks for. timeout_secs: how long the person may take; 300. client_registration: octavo registers itself anew for each login ("dcr"). */
export type McpOauthLoginParams = {
  name: string;
  scopes?: Array<string> | null;
  threadId?: string | null;
  timeoutSecs?: number | null;
  clientRegistration?: "auto" | "cimd" | "dcr" | null;
  cwd?: string | null;
};
/** The page that the person has to open; `mcpServer/oauthLogin/completed` follows. Attributes: octavo_hosts: all hosts that are spoken with in this login, with their ports. */
export type McpOauthLoginResult = {
  authorizationUrl: string;
  loginId: string;
  octavoHosts: Array<string>;
};
/** One prompt. What the server says of it is bounded, and nothing invisible is in it. */
export type McpPrompt = {
  name: string;
  title: string;
  description: string;
  arguments: Array<McpPromptArgument>;
};
export type McpPromptArgument = {
  name: string;
  description: string;
  required: boolean;
};
export type McpPromptGetParams = {
  server: string;
  name: string;
  arguments?: Record<string, string>;
  threadId?: string | null;
  cwd?: string | null;
};
/** A prompt, filled in. It is a stranger's text, whoever is shown it or told it. Attributes: text: its messages, one after the other; the other's words are marked as such. Nothing invisible is in it, and it is cut where it is too long. images: its images as data URLs, in the order in which the text mentions them. left_out_characters: how much of it was too much. */
export type McpPromptGetResult = {
  text: string;
  description: string;
  images: Array<string>;
  leftOutCharacters: number;
};
/** With a thread, of its server as it runs; else of one that a thread here would have. */
export type McpPromptsListParams = {
  server: string;
  threadId?: string | null;
  cwd?: string | null;
};
/** `left_out` says what was too many, or too large. */
export type McpPromptsListResult = {
  data: Array<McpPrompt>;
  leftOut: string | null;
};
export type McpResourceReadParams = {
  server: string;
  uri: string;
  threadId?: string | null;
  cwd?: string | null;
};
export type McpResourceReadResult = {
  contents: Array<Record<string, unknown>>;
  originCallId: null;
};
/** What a tool of a server gave, as the model was shown it. */
export type McpResult = {
  content: Array<Record<string, unknown>>;
  structuredContent: unknown;
};
/** One server, and what it has. Tools by their real names, as the server describes them. */
export type McpServerStatus = {
  name: string;
  tools: Record<string, Record<string, unknown>>;
  resources: Array<Record<string, unknown>>;
  resourceTemplates: Array<Record<string, unknown>>;
  authStatus: "bearerToken" | "notLoggedIn" | "oAuth" | "unknown" | "unsupported";
  serverInfo: Record<string, unknown> | null;
  serverCapabilities: Record<string, unknown> | null;
  runtimeStatus: "authenticationRequired" | "cancelled" | "connected" | "disabled" | "failed" | "notStarted" | "starting" | null;
  toolsError: string | null;
  httpOrigin: string | null;
  pluginId: null;
  octavoAgreement: "agreed" | "changed" | "seen" | "unknown";
  octavoLog: Array<string>;
};
/** An MCP server of a thread starts, is there, or is not. */
export type McpServerStatusUpdated = {
  name: string;
  status: "cancelled" | "failed" | "ready" | "starting";
  error: string | null;
  threadId: string | null;
};
/** With a thread, of its servers as they run; else of those that a thread here would have. */
export type McpStatusListParams = {
  threadId?: string | null;
  serverName?: string | null;
  detail?: "full" | "toolsAndAuthOnly" | null;
  cursor?: string | null;
  limit?: number | null;
  cwd?: string | null;
};
export type McpStatusListResult = {
  data: Array<McpServerStatus>;
  nextCursor: string | null;
};
/** A call of a tool of an MCP server. */
export type McpToolCall = {
  type: "mcpToolCall";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  server: string;
  tool: string;
  arguments: unknown;
  status: "completed" | "failed" | "inProgress";
  result: McpResult | null;
  error: McpError | null;
  durationMs: number | null;
  readOnlyHint: boolean | null;
  appContext: null;
  mcpAppResourceUri: null;
  mcpAppUi: null;
  pluginId: null;
};
/** The client itself calls a tool; nobody is asked, and the model hears nothing of it. */
export type McpToolCallParams = {
  threadId: string;
  server: string;
  tool: string;
  arguments?: unknown;
};
/** A call of an MCP server's tool goes on. */
export type McpToolCallProgress = {
  threadId: string;
  turnId: string;
  itemId: string;
  message: string;
};
export type McpToolCallResult = {
  content: Array<Record<string, unknown>>;
  isError: boolean | null;
  structuredContent: unknown;
  _meta: null;
};
/** A thing the user pointed at, such as a file. */
export type Mention = {
  type: "mention";
  name: string;
  path: string;
};
/** A model that octavo knows; whether it may be used, its provider says. */
export type Model = {
  id: string;
  model: string;
  displayName: string;
  description: string;
  hidden: boolean;
  isDefault: boolean;
  defaultReasoningEffort: string;
  supportedReasoningEfforts: Array<ReasoningEffortOption>;
  inputModalities: Array<"image" | "text">;
  supportsPersonality: boolean;
  upgrade: null;
  octavoContextWindow: number;
};
/** `include_hidden`: families of models as well, whose names others begin with. */
export type ModelListParams = {
  cursor?: string | null;
  limit?: number | null;
  includeHidden?: boolean | null;
};
export type ModelListResult = {
  data: Array<Model>;
  nextCursor: string | null;
};
/** `base_url`: without what could be a password; null where there is none. */
export type ModelProvider = {
  id: string;
  name: string;
  baseUrl: string | null;
  settings: ProviderSettings;
  canEdit: boolean;
  octavoWireApi: string | null;
};
/** `can_change_default`: a client may write another one into the settings. */
export type ModelProviderListResult = {
  data: Array<ModelProvider>;
  defaultProviderId: string;
  canChangeDefault: boolean;
};
export type NetworkAmendment = {
  host: string;
  action: "allow" | "deny";
};
/** The host a running command wants to reach. */
export type NetworkContext = {
  host: string;
  protocol: "http" | "https" | "socks5Tcp" | "socks5Udp";
};
export type NetworkGrant = {
  enabled: boolean;
};
/** An empty object. */
export type Nothing = {
};
/** One way to remember a yes, beyond this once. Attributes: id: stands for it in an answer. scope: where it holds: this thread, this project, everywhere. covers: "exact" is the same command in the same folder with the same programs; "prefix" every command that begins with `words`; "host" connections to this host. allows: commands it would spare a question; tried out. refuses: commands that would be asked about all the same; tried out. */
export type Offer = {
  id: string;
  scope: "always" | "project" | "thread";
  covers: "exact" | "host" | "prefix";
  words?: Array<string>;
  allows?: Array<string>;
  refuses?: Array<string>;
};
/** A stronger layer sets what was written, too. */
export type OverriddenMetadata = {
  message: string;
  overridingLayer: ConfigOrigin;
  effectiveValue: unknown;
};
/** One that may be chosen; `allowed`: it can be used here. */
export type PermissionProfile = {
  id: string;
  description: string | null;
  allowed: boolean;
};
export type PermissionProfileListParams = {
  cursor?: string | null;
  limit?: number | null;
  cwd?: string | null;
};
export type PermissionProfileListResult = {
  data: Array<PermissionProfile>;
  nextCursor: string | null;
};
/** A text that is before the model at all times, also after a compaction. */
export type Pin = {
  id: string;
  text: string;
};
export type PinParams = {
  threadId: string;
  text: string;
};
export type PinsResult = {
  data: Array<Pin>;
};
/** One step of a plan. */
export type PlanStep = {
  step: string;
  status: "completed" | "inProgress" | "pending";
};
/** The model's plan, whole. */
export type PlanUpdated = {
  threadId: string;
  turnId: string;
  explanation: string | null;
  plan: Array<PlanStep>;
};
/** A program that a command starts; `path` is null where it was not found. */
export type Program = {
  name: string;
  path: string | null;
};
/** Where a provider's key comes from. The key itself is never told. */
export type ProviderAuth = {
  mode: "environmentVariable" | "externallyConfigured" | "none";
  envKey?: string | null;
};
/** What kind of provider it is. */
export type ProviderSettings = {
  type: "customGateway" | "openai";
  auth?: ProviderAuth;
};
/** A summary of the model's reasoning, and its raw text where the model gives it. */
export type Reasoning = {
  type: "reasoning";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  summary: Array<string>;
  content: Array<string>;
};
export type ReasoningEffortOption = {
  reasoningEffort: string;
  description: string;
};
/** A piece of a reasoning summary. */
export type ReasoningSummaryTextDelta = {
  threadId: string;
  turnId: string;
  itemId: string;
  delta: string;
  summaryIndex: number;
};
/** A piece of raw reasoning. */
export type ReasoningTextDelta = {
  threadId: string;
  turnId: string;
  itemId: string;
  delta: string;
  contentIndex: number;
};
export type RedoParams = {
  threadId: string;
  overwrite?: boolean;
};
/** Take back a turn and all after it: what was said, and with `octavo_files` files as well. `octavo_overwrite`: also files that somebody else edited since. */
export type RevertParams = {
  threadId: string;
  beforeTurnId: string;
  octavoFiles?: boolean;
  octavoOverwrite?: boolean;
};
/** `thread` has no turns; the cursors are where to begin to read what is left, backwards. `octavo_paths`: the files that were restored, and `octavo_left` those that could not be. */
export type RevertResult = {
  thread: Thread;
  turnsBackwardsCursor: string | null;
  itemsBackwardsCursor: string | null;
  octavoPaths: Array<string>;
  octavoLeft: Array<string>;
};
/** The sandbox of a turn, as the wire says it. */
export type SandboxPolicy = {
  type: "dangerFullAccess" | "externalSandbox" | "readOnly" | "workspaceWrite";
  writableRoots?: Array<string>;
  networkAccess?: boolean | "enabled" | "restricted";
  excludeTmpdirEnvVar?: boolean;
  excludeSlashTmp?: boolean;
};
/** A thread, and the latest message in it that fits. */
export type SearchHit = {
  thread: Thread;
  snippet: string;
  role: "assistant" | "user";
  turnId: string;
};
/** Threads in which one message holds all words; the latest first. */
export type SearchParams = {
  query: string;
  limit?: number | null;
  cursor?: string | null;
  cwd?: string | Array<string> | null;
  archived?: boolean | null;
};
export type SearchResult = {
  data: Array<SearchHit>;
  nextCursor: string | null;
};
export type SearchSessionParams = {
  sessionId: string;
};
/** `session_id` is the client's own. One that is there already begins anew. */
export type SearchSessionStartParams = {
  sessionId: string;
  roots: Array<string>;
};
/** What is typed by now, all of it. */
export type SearchSessionUpdateParams = {
  sessionId: string;
  query: string;
};
/** A question was answered, by whichever client, or is void. */
export type ServerRequestResolved = {
  threadId: string;
  requestId: string | number;
};
/** A person's own command, for their shell. It runs outside of the sandbox. Without `timeout_ms` it has an hour; 0 ends it as soon as it began. */
export type ShellCommandParams = {
  threadId: string;
  command: string;
  timeoutMs?: number | null;
};
/** A skill the user named. */
export type Skill = {
  type: "skill";
  name: string;
  path: string;
};
export type SkillAcceptParams = {
  name: string;
  sha256: string;
  cwd?: string | null;
};
/** `source`: a folder, or a git address with perhaps "#subfolder". */
export type SkillAddParams = {
  source: string;
  path?: string | null;
  ref?: string | null;
  name?: string | null;
  place?: "project" | "user";
  cwd?: string | null;
};
export type SkillAddResult = {
  skill: SkillInfo;
  files: Array<string>;
  executables: Array<string>;
};
/** How a skill differs from what was agreed to. */
export type SkillChangeResult = {
  skill: SkillInfo;
  sha256: string;
  lines: Array<string>;
  agreed: boolean;
};
/** The path of a folder, or of its SKILL.md. */
export type SkillCheckParams = {
  path: string;
};
export type SkillCheckResult = {
  problems: Array<string>;
  advice: Array<string>;
};
export type SkillCreateParams = {
  name: string;
  description: string;
  place?: "project" | "user";
  cwd?: string | null;
};
export type SkillCreateResult = {
  path: string;
};
export type SkillErrorInfo = {
  path: string;
  message: string;
};
/** One skill with all octavo knows about it. */
export type SkillInfo = {
  name: string;
  description: string;
  path: string;
  root: string;
  scope: "admin" | "repo" | "system" | "user";
  state: "changed" | "disabled" | "invalid" | "ok" | "shadowed";
  reason: string;
  trusted: boolean;
  pinned: boolean;
  source: string;
  sourcePath: string;
  ref: string | null;
  commit: string | null;
  edited: boolean;
  sha256: string;
};
/** One skill, with the fields of Codex and no other. */
export type SkillMetadata = {
  name: string;
  description: string;
  path: string;
  scope: "admin" | "repo" | "system" | "user";
  enabled: boolean;
};
/** `name`, or the path of its folder or SKILL.md. */
export type SkillNameParams = {
  name: string;
  cwd?: string | null;
};
export type SkillReadResult = {
  skill: SkillInfo;
  text: string;
  files: Array<string>;
  license: string | null;
  compatibility: string | null;
  metadata: Record<string, string>;
  allowedTools: Array<string>;
};
export type SkillRemoveParams = {
  name: string;
  force?: boolean;
  cwd?: string | null;
};
export type SkillRemoveResult = {
  path: string;
};
export type SkillResult = {
  skill: SkillInfo;
};
export type SkillsDetailsResult = {
  data: Array<SkillInfo>;
  problems: Array<string>;
};
export type SkillsListEntry = {
  cwd: string;
  skills: Array<SkillMetadata>;
  errors: Array<SkillErrorInfo>;
};
/** `cwds` empty: the server's own working directory. */
export type SkillsListParams = {
  cwds?: Array<string> | null;
  forceReload?: boolean | null;
};
export type SkillsListResult = {
  data: Array<SkillsListEntry>;
};
/** What some requests to models cost together. `cost_usd` is null when a part of it is not known; `known_cost_usd` is the part that is. */
export type Spending = {
  usage: Usage;
  requests: number;
  costUsd: number | null;
  knownCostUsd: number;
  unpricedRequests: number;
  estimatedRequests: number;
};
/** In character cells. */
export type TerminalSize = {
  rows: number;
  cols: number;
};
/** Words. */
export type Text = {
  type: "text";
  text: string;
};
/** A thread as clients see it. Times in seconds, as on the wire. */
export type Thread = {
  id: string;
  sessionId: string;
  preview: string;
  ephemeral: boolean;
  modelProvider: string;
  model: string | null;
  createdAt: number;
  updatedAt: number;
  status: ThreadStatus;
  path: string | null;
  cwd: string;
  cliVersion: string;
  source: string;
  recencyAt: number | null;
  reasoningEffort: string | null;
  originator: string | null;
  gitInfo: GitInfo | null;
  name: string | null;
  turns: Array<Turn>;
  historyMode: string;
  forkedFromId: string | null;
  parentThreadId: string | null;
  section: null;
  sectionEnteredAt: null;
  projectId: null;
  threadSource: string | null;
  agentNickname: null;
  agentRole: null;
  octavoHeldBy: string | null;
  octavoTurns: number | null;
  octavoTokens: number | null;
  octavoArchived: boolean;
};
/** A thread was put away; it is listed only among the archived ones. */
export type ThreadArchived = {
  threadId: string;
};
/** A thread is no longer loaded; nothing more comes from it. */
export type ThreadClosed = {
  threadId: string;
};
/** A thread is gone for good. */
export type ThreadDeleted = {
  threadId: string;
};
/** Which thread, and up to the end of which turn; by default of the last that ended. */
export type ThreadForkParams = {
  threadId: string;
  lastTurnId?: string | null;
  model?: string | null;
  modelProvider?: string | null;
  cwd?: string | null;
  approvalPolicy?: "never" | "on-failure" | "on-request" | "untrusted" | GranularApproval | null;
  sandbox?: "danger-full-access" | "read-only" | "workspace-write" | null;
  config?: Record<string, unknown> | null;
  baseInstructions?: string | null;
  developerInstructions?: string | null;
  excludeTurns?: boolean | null;
  approvalsReviewer?: string | null;
  octavoBudget?: Budget | null;
};
/** What a thread is to reach by itself. Times in seconds; tokens without cached input. */
export type ThreadGoal = {
  threadId: string;
  objective: string;
  status: "active" | "blocked" | "budgetLimited" | "complete" | "paused" | "usageLimited";
  tokenBudget: number | null;
  tokensUsed: number;
  timeUsedSeconds: number;
  createdAt: number;
  updatedAt: number;
  octavoReason: string | null;
};
export type ThreadIdParams = {
  threadId: string;
};
/** Which threads, and in which order; without `sort_direction` the newest come first. Attributes: cursor: `next_cursor` of the page before, with the same order. cwd: of one directory, or of some. source_kinds: which faces began them; all when there is none. search_term: a part of the name, or of the first words. */
export type ThreadListParams = {
  limit?: number | null;
  cwd?: string | Array<string> | null;
  cursor?: string | null;
  archived?: boolean | null;
  sortKey?: string | null;
  sortDirection?: "asc" | "desc" | null;
  searchTerm?: string | null;
  sourceKinds?: Array<string> | null;
  modelProviders?: Array<string> | null;
  excludedThreadIds?: Array<string> | null;
};
export type ThreadListResult = {
  data: Array<Thread>;
  nextCursor: string | null;
  backwardsCursor: string | null;
};
/** A thread was given a name, or lost it. */
export type ThreadNameUpdated = {
  threadId: string;
  threadName: string | null;
};
export type ThreadReadParams = {
  threadId: string;
  includeTurns?: boolean | null;
};
export type ThreadReadResult = {
  thread: Thread;
};
/** A thread that is loaded and the settings in force. */
export type ThreadResult = {
  thread: Thread;
  model: string;
  modelProvider: string;
  cwd: string;
  instructionSources: Array<string>;
  approvalPolicy: "never" | "on-failure" | "on-request" | "untrusted" | GranularApproval;
  sandbox: SandboxPolicy;
  reasoningEffort: string | null;
  approvalsReviewer: string;
  serviceTier: string | null;
  disabledPluginIds: Array<string>;
  collaborationMode: null;
  turnsBackwardsCursor: string | null;
  itemsBackwardsCursor: string | null;
};
export type ThreadResumeParams = {
  threadId: string;
  model?: string | null;
  modelProvider?: string | null;
  cwd?: string | null;
  approvalPolicy?: "never" | "on-failure" | "on-request" | "untrusted" | GranularApproval | null;
  approvalsReviewer?: string | null;
  sandbox?: "danger-full-access" | "read-only" | "workspace-write" | null;
  config?: Record<string, unknown> | null;
  baseInstructions?: string | null;
  developerInstructions?: string | null;
  excludeTurns?: boolean;
  octavoBudget?: Budget | null;
};
/** Turns were taken back: lists of turns and items have them no more, or have them again. */
export type ThreadReverted = {
  threadId: string;
};
export type ThreadSetNameParams = {
  threadId: string;
  name: string;
};
export type ThreadStartParams = {
  model?: string | null;
  modelProvider?: string | null;
  cwd?: string | null;
  approvalPolicy?: "never" | "on-failure" | "on-request" | "untrusted" | GranularApproval | null;
  approvalsReviewer?: string | null;
  sandbox?: "danger-full-access" | "read-only" | "workspace-write" | null;
  config?: Record<string, unknown> | null;
  baseInstructions?: string | null;
  developerInstructions?: string | null;
  ephemeral?: boolean | null;
  octavoBudget?: Budget | null;
};
/** A thread exists and may be talked to. */
export type ThreadStarted = {
  thread: Thread;
};
/** What a thread is doing. */
export type ThreadStatus = {
  type: "active" | "idle" | "notLoaded" | "systemError";
  activeFlags?: Array<string>;
};
/** A thread became active or idle. */
export type ThreadStatusChanged = {
  threadId: string;
  status: ThreadStatus;
};
/** A thread was taken out of the archive again. */
export type ThreadUnarchived = {
  threadId: string;
};
/** What a thread has cost, and what it and its turn may. */
export type ThreadUsageResult = {
  threadId: string;
  total: Spending;
  byPurpose: Record<string, Spending>;
  turn: Spending | null;
  last: Usage | null;
  threadBudget: Budget;
  turnBudget: Budget;
};
/** Tokens of the thread so far and of the last response; `octavo_turn` of this turn so far. */
export type TokenUsage = {
  total: Usage;
  last: Usage;
  modelContextWindow: number | null;
  octavoTurn: Usage | null;
};
/** A response was paid for. */
export type TokenUsageUpdated = {
  threadId: string;
  turnId: string;
  tokenUsage: TokenUsage;
};
/** What another program said: text, or parts `input_text` and `input_image`. */
export type ToolOutput = {
  name: string;
  output: string | Array<Record<string, unknown>>;
  namespace?: string | null;
};
/** A turn; `items_view` says whether `items` are all there. Times in seconds, as on the wire. */
export type Turn = {
  id: string;
  items: Array<UserMessage | FunctionCallOutput | AgentMessage | Reasoning | CommandExecution | FileChange | McpToolCall | DynamicToolCall | WebSearch | ImageView | ContextCompaction>;
  itemsView: "full" | "notLoaded" | "summary";
  status: "completed" | "failed" | "inProgress" | "interrupted";
  error: TurnError | null;
  startedAt: number | null;
  completedAt: number | null;
  durationMs: number | null;
  rootTurnId: string | null;
};
/** A turn ended, however it did; last of its turn. */
export type TurnCompleted = {
  threadId: string;
  turn: Turn;
};
/** Why a turn failed, or an attempt is repeated. `codex_error_info` is a word or an object. */
export type TurnError = {
  message: string;
  codexErrorInfo: unknown;
  additionalDetails: string | null;
  misalignment: null;
};
export type TurnInterruptParams = {
  threadId: string;
  turnId: string;
};
export type TurnStartParams = {
  threadId: string;
  input: Array<Text | ImageUrl | LocalImage | Skill | Mention>;
  clientUserMessageId?: string | null;
  cwd?: string | null;
  approvalPolicy?: "never" | "on-failure" | "on-request" | "untrusted" | GranularApproval | null;
  approvalsReviewer?: string | null;
  sandboxPolicy?: SandboxPolicy | null;
  model?: string | null;
  effort?: string | null;
  summary?: string | null;
  outputSchema?: Record<string, unknown> | null;
  toolOutput?: ToolOutput | null;
  octavoBudget?: Budget | null;
};
export type TurnStartResult = {
  turn: Turn;
};
/** A turn began. */
export type TurnStarted = {
  threadId: string;
  turn: Turn;
};
export type TurnSteerParams = {
  threadId: string;
  input: Array<Text | ImageUrl | LocalImage | Skill | Mention>;
  expectedTurnId: string;
  clientUserMessageId?: string | null;
};
export type TurnSteerResult = {
  turnId: string;
};
/** Newest first by default; a summary of a turn is what the user said and the last answer. */
export type TurnsListParams = {
  threadId: string;
  cursor?: string | null;
  limit?: number | null;
  sortDirection?: "asc" | "desc" | null;
  itemsView?: "full" | "notLoaded" | "summary" | null;
};
export type TurnsListResult = {
  data: Array<Turn>;
  nextCursor: string | null;
  backwardsCursor: string | null;
};
/** About how many tokens the next request shows, and showed before. */
export type UndoCompactionResult = {
  tokens: number;
  tokensBefore: number;
};
/** Which turn; it and all after it are taken back. Without one, the last. */
export type UndoParams = {
  threadId: string;
  turnId?: string | null;
  files?: boolean;
  conversation?: boolean;
  overwrite?: boolean;
};
/** What was done. `left` are the files that could not be restored: too large to have been kept, or written to in these moments. */
export type UndoResult = {
  turnIds: Array<string>;
  paths: Array<string>;
  left: Array<string>;
};
/** A turn of a thread, as far as undoing it goes. */
export type UndoableTurn = {
  id: string;
  startedAt: number;
  text: string;
  changesFiles: boolean;
  undone: boolean;
};
export type UndoableTurns = {
  data: Array<UndoableTurn>;
};
/** One by id. */
export type UnpinParams = {
  threadId: string;
  id: string;
};
/** Whether the client followed the thread. It goes on, with nobody or with others. */
export type UnsubscribeResult = {
  status: "notLoaded" | "notSubscribed" | "unsubscribed";
};
/** Tokens of one response, a turn or a thread. Cached, cache-write and reasoning tokens are included in input and output, not added to them. */
export type Usage = {
  inputTokens: number;
  cachedInputTokens: number;
  cacheWriteInputTokens: number;
  outputTokens: number;
  reasoningOutputTokens: number;
  totalTokens: number;
};
export type UserInputAnswer = {
  answers: Array<string>;
};
export type UserInputOption = {
  label: string;
  description: string;
};
/** The model asks the person. */
export type UserInputParams = {
  threadId: string;
  turnId: string;
  itemId: string;
  questions: Array<UserInputQuestion>;
  isBlocking: boolean;
  autoResolutionMs: number | null;
};
export type UserInputQuestion = {
  id: string;
  header: string;
  question: string;
  isOther: boolean;
  isSecret: boolean;
  options: Array<UserInputOption> | null;
};
/** By the questions' ids. */
export type UserInputResult = {
  answers: Record<string, UserInputAnswer>;
};
/** What the user said. */
export type UserMessage = {
  type: "userMessage";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  content: Array<Text | ImageUrl | LocalImage | Skill | Mention>;
  clientId: string | null;
};
/** Something a person should know that ends nothing. */
export type Warned = {
  message: string;
  threadId: string | null;
  octavoCode: string | null;
};
/** A search the provider ran. */
export type WebSearch = {
  type: "webSearch";
  id: string;
  startedAtMs: number | null;
  completedAtMs: number | null;
  query: string;
  action: Record<string, unknown> | null;
};
export interface ClientRequests {
  "account/login/cancel": { params: LoginCancelParams; result: LoginCancelResult };
  "account/login/start": { params: LoginStartParams; result: LoginStartResult };
  "account/logout": { params: Nothing; result: Nothing };
  "account/read": { params: AccountReadParams; result: AccountReadResult };
  "command/exec": { params: CommandExecParams; result: CommandExecResult };
  "command/exec/resize": { params: CommandExecResizeParams; result: Nothing };
  "command/exec/terminate": { params: CommandExecTerminateParams; result: Nothing };
  "command/exec/write": { params: CommandExecWriteParams; result: Nothing };
  "config/batchWrite": { params: ConfigBatchWriteParams; result: ConfigWriteResult };
  "config/read": { params: ConfigReadParams; result: ConfigReadResult };
  "config/value/write": { params: ConfigValueWriteParams; result: ConfigWriteResult };
  "configRequirements/read": { params: Nothing; result: ConfigRequirementsReadResult };
  "fs/copy": { params: FsCopyParams; result: Nothing };
  "fs/createDirectory": { params: FsCreateDirectoryParams; result: Nothing };
  "fs/getMetadata": { params: FsPathParams; result: FsMetadata };
  "fs/readDirectory": { params: FsPathParams; result: FsReadDirectoryResult };
  "fs/readFile": { params: FsPathParams; result: FsReadFileResult };
  "fs/remove": { params: FsRemoveParams; result: Nothing };
  "fs/unwatch": { params: FsUnwatchParams; result: Nothing };
  "fs/watch": { params: FsWatchParams; result: FsWatchResult };
  "fs/writeFile": { params: FsWriteFileParams; result: Nothing };
  "fuzzyFileSearch": { params: FuzzyFileSearchParams; result: FuzzyFileSearchResponse };
  "fuzzyFileSearch/sessionStart": { params: SearchSessionStartParams; result: Nothing };
  "fuzzyFileSearch/sessionStop": { params: SearchSessionParams; result: Nothing };
  "fuzzyFileSearch/sessionUpdate": { params: SearchSessionUpdateParams; result: Nothing };
  "hooks/list": { params: HooksListParams; result: HooksListResult };
  "initialize": { params: InitializeParams; result: InitializeResult };
  "mcpServer/oauth/login": { params: McpOauthLoginParams; result: McpOauthLoginResult };
  "mcpServer/resource/read": { params: McpResourceReadParams; result: McpResourceReadResult };
  "mcpServer/tool/call": { params: McpToolCallParams; result: McpToolCallResult };
  "mcpServerStatus/list": { params: McpStatusListParams; result: McpStatusListResult };
  "model/list": { params: ModelListParams; result: ModelListResult };
  "modelProvider/list": { params: Nothing; result: ModelProviderListResult };
  "octavo/approvals/list": { params: Nothing; result: ApprovalsListResult };
  "octavo/approvals/revoke": { params: ApprovalsRevokeParams; result: ApprovalsRevokeResult };
  "octavo/gc": { params: GcParams; result: GcResult };
  "octavo/index/rebuild": { params: Nothing; result: IndexRebuildResult };
  "octavo/mcp/accept": { params: McpAcceptParams; result: McpAcceptResult };
  "octavo/mcp/changes": { params: McpChangesParams; result: McpChangesResult };
  "octavo/mcp/logout": { params: McpLogoutParams; result: McpLogoutResult };
  "octavo/mcp/prompts/get": { params: McpPromptGetParams; result: McpPromptGetResult };
  "octavo/mcp/prompts/list": { params: McpPromptsListParams; result: McpPromptsListResult };
  "octavo/skills/accept": { params: SkillAcceptParams; result: SkillResult };
  "octavo/skills/add": { params: SkillAddParams; result: SkillAddResult };
  "octavo/skills/change": { params: SkillNameParams; result: SkillChangeResult };
  "octavo/skills/check": { params: SkillCheckParams; result: SkillCheckResult };
  "octavo/skills/create": { params: SkillCreateParams; result: SkillCreateResult };
  "octavo/skills/list": { params: CwdParams; result: SkillsDetailsResult };
  "octavo/skills/read": { params: SkillNameParams; result: SkillReadResult };
  "octavo/skills/remove": { params: SkillRemoveParams; result: SkillRemoveResult };
  "octavo/thread/compact/undo": { params: ThreadIdParams; result: UndoCompactionResult };
  "octavo/thread/pin": { params: PinParams; result: Pin };
  "octavo/thread/pins": { params: ThreadIdParams; result: PinsResult };
  "octavo/thread/redo": { params: RedoParams; result: UndoResult };
  "octavo/thread/search": { params: SearchParams; result: SearchResult };
  "octavo/thread/turns": { params: ThreadIdParams; result: UndoableTurns };
  "octavo/thread/undo": { params: UndoParams; result: UndoResult };
  "octavo/thread/unpin": { params: UnpinParams; result: Nothing };
  "octavo/thread/usage": { params: ThreadIdParams; result: ThreadUsageResult };
  "permissionProfile/list": { params: PermissionProfileListParams; result: PermissionProfileListResult };
  "skills/list": { params: SkillsListParams; result: SkillsListResult };
  "thread/archive": { params: ThreadIdParams; result: Nothing };
  "thread/backgroundTerminals/clean": { params: ThreadIdParams; result: Nothing };
  "thread/compact/start": { params: ThreadIdParams; result: Nothing };
  "thread/delete": { params: ThreadIdParams; result: Nothing };
  "thread/fork": { params: ThreadForkParams; result: ThreadResult };
  "thread/goal/clear": { params: ThreadIdParams; result: GoalClearResult };
  "thread/goal/get": { params: ThreadIdParams; result: GoalGetResult };
  "thread/goal/set": { params: GoalSetParams; result: GoalSetResult };
  "thread/inject_items": { params: InjectItemsParams; result: Nothing };
  "thread/items/list": { params: ItemsListParams; result: ItemsListResult };
  "thread/list": { params: ThreadListParams; result: ThreadListResult };
  "thread/loaded/list": { params: LoadedListParams; result: LoadedListResult };
  "thread/name/set": { params: ThreadSetNameParams; result: Nothing };
  "thread/read": { params: ThreadReadParams; result: ThreadReadResult };
  "thread/resume": { params: ThreadResumeParams; result: ThreadResult };
  "thread/revert": { params: RevertParams; result: RevertResult };
  "thread/shellCommand": { params: ShellCommandParams; result: Nothing };
  "thread/start": { params: ThreadStartParams; result: ThreadResult };
  "thread/turns/list": { params: TurnsListParams; result: TurnsListResult };
  "thread/unarchive": { params: ThreadIdParams; result: ThreadReadResult };
  "thread/unsubscribe": { params: ThreadIdParams; result: UnsubscribeResult };
  "turn/interrupt": { params: TurnInterruptParams; result: Nothing };
  "turn/start": { params: TurnStartParams; result: TurnStartResult };
  "turn/steer": { params: TurnSteerParams; result: TurnSteerResult };
}
export interface ServerRequests {
  "mcpServer/elicitation/request": { params: ElicitationParams; result: ElicitationResult };
  "item/commandExecution/requestApproval": { params: CommandApprovalParams; result: ApprovalResult };
  "item/fileChange/requestApproval": { params: FileChangeApprovalParams; result: ApprovalResult };
  "item/tool/requestUserInput": { params: UserInputParams; result: UserInputResult };
}
export interface ServerNotifications {
  "account/login/completed": LoginCompleted;
  "account/updated": AccountUpdated;
  "command/exec/outputDelta": CommandExecOutput;
  "error": ErrorHappened;
  "fs/changed": FsChanged;
  "fuzzyFileSearch/sessionCompleted": FuzzySearchCompleted;
  "fuzzyFileSearch/sessionUpdated": FuzzySearchUpdated;
  "hook/completed": HookCompleted;
  "hook/started": HookStarted;
  "item/agentMessage/delta": AgentMessageDelta;
  "item/commandExecution/outputDelta": CommandOutputDelta;
  "item/completed": ItemCompleted;
  "item/mcpToolCall/progress": McpToolCallProgress;
  "item/reasoning/summaryTextDelta": ReasoningSummaryTextDelta;
  "item/reasoning/textDelta": ReasoningTextDelta;
  "item/started": ItemStarted;
  "mcpServer/oauthLogin/completed": McpOauthLoginCompleted;
  "mcpServer/startupStatus/updated": McpServerStatusUpdated;
  "serverRequest/resolved": ServerRequestResolved;
  "thread/archived": ThreadArchived;
  "thread/closed": ThreadClosed;
  "thread/compacted": Compacted;
  "thread/deleted": ThreadDeleted;
  "thread/goal/cleared": GoalCleared;
  "thread/goal/updated": GoalUpdated;
  "thread/name/updated": ThreadNameUpdated;
  "thread/reverted": ThreadReverted;
  "thread/started": ThreadStarted;
  "thread/status/changed": ThreadStatusChanged;
  "thread/tokenUsage/updated": TokenUsageUpdated;
  "thread/unarchived": ThreadUnarchived;
  "turn/completed": TurnCompleted;
  "turn/diff/updated": DiffUpdated;
  "turn/plan/updated": PlanUpdated;
  "turn/started": TurnStarted;
  "warning": Warned;
}
