using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Training.Distribution;
using Trainer.Training.Optimizers;

namespace Trainer.Training;

/// <summary>The checkpoint from which a run is resumed; its files are verified.</summary>
internal sealed record ResumePoint(string Directory, CheckpointState State)
{
    /// <summary>A run's newest whole checkpoint, if it has any; throws where none is whole or fits the recipe.</summary>
    public static ResumePoint? Find(CheckpointStore store, Recipe recipe, Action<string> log)
    {
        if (store.NewestWhole(log) is not { } step)
        {
            log("no checkpoint yet: the run begins at its first step");
            return null;
        }
        ResumePoint found = At(store.DirectoryOf(step));
        foreach (string change in ResumeValidation.Check(RecipeOf(found.Directory), recipe)) log($"changed since the checkpoint: {change}");
        return found;
    }

    /// <summary>The same, without the best loss so far where the recipe measures another one, which could not be compared with it.</summary>
    public ResumePoint ToGoOnWith(Recipe recipe, Action<string> log)
    {
        IReadOnlyList<string> changes = ResumeValidation.Differences(
            RecipeOf(Directory), recipe, "preference", "evaluation.batches", "training.batchSize");
        if (changes.Count == 0 || State.BestLoss is null) return this;
        log($"the best loss so far was of another measure, and the next evaluation is the best again: {string.Join("; ", changes)}");
        return this with { State = State with { BestLoss = null, BestStep = null } };
    }

    /// <summary>What the first of several processes finds and verifies, on all of them; null may be found too.</summary>
    public static ResumePoint? FromFirst(Ranks ranks, Func<ResumePoint?> find)
    {
        ResumePoint? found = null;
        string? directory = ranks.FromFirst(() => (found = find())?.Directory);
        return found ?? (directory is null ? null : At(directory));
    }

    /// <summary>A checkpoint that was found and verified.</summary>
    public static ResumePoint At(string directory) => new(directory, CheckpointState.Load(directory));

    /// <summary>The recipe that a checkpoint was trained with.</summary>
    public static Recipe RecipeOf(string directory) => Recipe.Load(Path.Combine(directory, CheckpointFiles.Configuration));

    /// <summary>Refuses a checkpoint in place of a run directory, and says how training can begin from it.</summary>
    public static void RequireRun(string directory)
    {
        if (!File.Exists(Path.Combine(directory, CheckpointFiles.Manifest))) return;
        throw new UserException(File.Exists(Path.Combine(directory, CheckpointFiles.State))
            ? $"{directory}: it is one checkpoint of a run, and a run goes on as a whole; give the run's directory to --run"
            : $"{directory}: it is a converted or imported checkpoint, which has no optimizer state, so there is nothing to resume; " +
              $"begin a run with its weights: set initialize.from to {directory}, and leave out --resume");
    }

    /// <summary>Throws where the training data changed, so that the saved position in it would mean nothing.</summary>
    public void RequireData(string fingerprint)
    {
        if (State.DataFingerprint != fingerprint)
            throw new UserException(
                $"the training data changed since {Directory} was saved (fingerprint {State.DataFingerprint}, now {fingerprint}): " +
                "restore the files, or start another run with --run and a new directory (its weights can come from initialize.from)");
    }
}

/// <summary>Weights, token ids and the position in the data mean something only with their model, tokenizer, data and seed; everything else
/// may change before a run is resumed. Files may move (<see cref="ResumePoint.RequireData"/>).</summary>
internal static class ResumeValidation
{
    private static readonly string[] Fixed =
        ["seed", "model", "tokenizer", "data", "adapter", "reinforcement", "optimizer.type", "optimizer.momentPrecision"];

    private static readonly string[] Free = ["data.loaderThreads", "data.forcedBosToken", "adapter.dropout"];

    /// <summary>What differs between two recipes within some sections, a line each.</summary>
    public static IReadOnlyList<string> Differences(Recipe earlier, Recipe later, params string[] sections) =>
        [.. Changes(Leaves(earlier), Leaves(later)).Where(change => sections.Any(change.IsWithin)).Select(change => change.ToString())];

    /// <summary>The changes that are allowed, a line each; throws where others were made, and names each with both values.</summary>
    public static IReadOnlyList<string> Check(Recipe saved, Recipe now)
    {
        Change[] changes = [.. Changes(Leaves(saved), Leaves(now))];
        string[] forbidden =
        [
            .. from change in changes
               let reason = StateReason(change, saved.Optimizer, now.Optimizer)
               where reason is not null
                   || change.BeginsOrEnds("optimizer.average")
                   || (Fixed.Any(change.IsWithin) && !Free.Any(change.IsWithin) && !change.IsFileMoved)
               select $"{change}{reason}",
        ];
        if (forbidden.Length > 0)
            throw new UserException(
                "the run cannot go on with another configuration than its checkpoint's:\n" +
                string.Concat(forbidden.Select(line => $"  {line}\n")) +
                "set them back, or start another run with --run and a new directory (its weights can come from initialize.from)");
        return [.. changes.Select(change => change.ToString())];
    }

    /// <summary>Of a change after which the optimizer's state would not be the checkpoint's, the reason; null for others.</summary>
    private static string? StateReason(Change change, OptimizerOptions saved, OptimizerOptions now) => (change.Path, saved, now) switch
    {
        ("optimizer.momentum", SgdOptions before, SgdOptions after) when (before.Momentum == 0) != (after.Momentum == 0) =>
            "; a checkpoint holds momentum only where this is above 0, so that it can neither begin nor end",
        ("optimizer.adamw.momentPrecision", MuonOptions before, MuonOptions after)
            when before.Rest.MomentPrecision != after.Rest.MomentPrecision => "; where absent, it is \"float32\"",
        _ => null,
    };

    private static IEnumerable<Change> Changes(Dictionary<string, string> saved, Dictionary<string, string> now)
    {
        foreach (string path in saved.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            string before = saved.GetValueOrDefault(path, "absent"), after = now.GetValueOrDefault(path, "absent");
            if (before != after) yield return new Change(path, before, after);
        }
    }

    private static Dictionary<string, string> Leaves(Recipe recipe)
    {
        Dictionary<string, string> leaves = [];
        Collect(JsonNode.Parse(ConfigurationJson.Serialize(recipe)), "", leaves);
        return leaves;
    }

    private static void Collect(JsonNode? node, string path, Dictionary<string, string> leaves)
    {
        IEnumerable<(string Key, JsonNode? Value)>? children = node switch
        {
            JsonObject fields => fields.Select(field => (field.Key, field.Value)),
            JsonArray items => items.Select((item, index) => (index.ToString(), item)),
            _ => null,
        };
        if (children is null) leaves[path] = node?.ToJsonString() ?? "null";
        else foreach ((string key, JsonNode? value) in children) Collect(value, path.Length == 0 ? key : $"{path}.{key}", leaves);
    }

    private sealed record Change(string Path, string Before, string After)
    {
        public bool IsWithin(string section) => Path == section || Path.StartsWith(section + ".", StringComparison.Ordinal);

        /// <summary>Whether a section came or went, which had or would have state.</summary>
        public bool BeginsOrEnds(string section) => IsWithin(section) && (Before is "absent" or "null" || After is "absent" or "null");

        public bool IsFileMoved =>
            IsWithin("data")
                && (Path.EndsWith(".path", StringComparison.Ordinal) || Path.EndsWith(".targetPath", StringComparison.Ordinal));

        public override string ToString() => $"{Path} was {Before} and is {After} now";
    }
}
