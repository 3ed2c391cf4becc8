using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Distributed;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Distribution;

namespace Trainer.Training.Experiments;

/// <summary>What to branch off: a run's directory, the step of one of its checkpoints, settings such as <c>optimizer.learningRate=1e-3</c>
/// that the branch has otherwise, and its own directory, null for one beside the run's.</summary>
public sealed record BranchRequest(string Run, long Step, IReadOnlyList<string> Settings, string? Directory = null)
{
    /// <summary>The processes that are to train the branch, each with the same request; null for this one alone. The first makes it. One
    /// that fails has to call <see cref="IProcessGroup.Abort"/>.</summary>
    public IProcessGroup? Processes { get; init; }
}

/// <summary>A run that goes on from a checkpoint of another one. Its directory is that of a run which was stopped there, so that
/// <see cref="TrainingSession"/> goes on in it, now or later: without other settings to the same bits as the original.</summary>
public sealed record RunBranch(string Directory, Recipe Recipe, string Origin)
{
    /// <summary>The file that says where the branch comes from.</summary>
    public const string OriginFile = "branch.json";

    /// <summary>The command that goes on with it where it was stopped.</summary>
    public string ResumeCommand => RecordedRun.ResumeCommand(Directory);

    /// <summary>Makes the branch's directory: the checkpoint, the best one so far, the records up to there, and the recipe.</summary>
    /// <exception cref="ConfigurationException">The settings have mistakes; all are named.</exception>
    /// <exception cref="UserException">There is no such run or checkpoint, a setting cannot change any more, or the directory is
    /// taken.</exception>
    public static RunBranch Create(BranchRequest request)
    {
        RunBranch? made = null;
        Ranks ranks = new(request.Processes ?? new SingleProcess(), new Progress<string>());
        string directory = ranks.FromFirst(() => (made = Make(request, ranks.Group.Size)).Directory)!;
        string origin = ranks.FromFirst(() => made!.Origin)!;
        return made ?? new RunBranch(directory, Recipe.Load(Path.Combine(directory, CheckpointFiles.Configuration)).Resolve(), origin);
    }

    private static RunBranch Make(BranchRequest request, int processes)
    {
        RecordedRun original = RecordedRun.Open(request.Run);
        ResumePoint from = original.CheckpointAt(request.Step);
        Recipe recipe = RecipeOf(original, request);
        IReadOnlyList<string> changes = ResumeValidation.Check(original.RecipeAfter(request.Step), recipe);
        if (recipe.Training.Steps <= request.Step)
            throw new UserException($"{request.Run}: all {recipe.Training.Steps} steps are done at step {request.Step}, so that a branch " +
                $"has none left; raise them with --set training.steps={2 * recipe.Training.Steps}");
        Problem[] problems = [.. RankSetup.Validate(recipe, processes)];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        string directory = request.Directory ?? DefaultDirectory(request);
        string origin = $"branch of {request.Run} at step {request.Step}" + (changes.Count == 0
            ? ", with its settings"
            : string.Concat(changes.Select(change => $"\n  {change}")));
        Write(directory, temporary => Fill(temporary, original, from, recipe, request));
        return new RunBranch(directory, recipe, origin);
    }

    /// <summary>Another learning rate's branch of runs/x is runs/x-step-5000-learningRate-1e-3.</summary>
    internal static string DefaultDirectory(BranchRequest request)
    {
        string run = Path.TrimEndingDirectorySeparator(Path.GetFullPath(request.Run));
        string settings = string.Concat(request.Settings.Select(setting => "-" + LastName(setting)));
        string name = $"{Path.GetFileName(run)}-step-{request.Step}{settings}";
        string plain = string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-'));
        string parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(request.Run)) ?? "";
        return Path.Combine(parent, plain.Length > LongestName ? plain[..LongestName] : plain);
    }

    private const int LongestName = 120;

    /// <summary>learningRate=1e-3 of optimizer.learningRate=1e-3.</summary>
    private static string LastName(string setting)
    {
        int end = setting.IndexOf('=');
        return end < 1 ? setting : setting[(setting.LastIndexOf('.', end) + 1)..];
    }

    private static Recipe RecipeOf(RecordedRun original, BranchRequest request)
    {
        string directory = original.Checkpoints.Steps.Where(step => step > request.Step).Cast<long?>().FirstOrDefault() is { } next
            ? original.Checkpoints.DirectoryOf(next)
            : original.Directory;
        return ConfigurationLoader.Load<Recipe>(
            Path.Combine(directory, CheckpointFiles.Configuration), request.Settings, new Dictionary<string, string>()).Value.Resolve();
    }

    private static void Fill(string temporary, RecordedRun original, ResumePoint from, Recipe recipe, BranchRequest request)
    {
        CheckpointStore checkpoints = new(Path.Combine(temporary, CheckpointFiles.Folder));
        if (from.State.BestStep is { } best && best < request.Step && original.Checkpoints.Steps.Contains(best))
            checkpoints.Save(best, original.Checkpoints.FilesOf(best));
        checkpoints.Save(request.Step, original.Checkpoints.FilesOf(request.Step));
        string records = Path.Combine(original.Directory, MetricsFile.Name), copy = Path.Combine(temporary, MetricsFile.Name);
        if (File.Exists(records))
        {
            File.Copy(records, copy);
            MetricsFile.Rewind(copy, request.Step + 1);
        }
        DurableFile.Replace(Path.Combine(temporary, CheckpointFiles.Configuration), ConfigurationJson.Serialize(recipe) + "\n");
        JsonObject origin = new()
        {
            ["run"] = Path.GetFullPath(request.Run),
            ["step"] = request.Step,
            ["settings"] = new JsonArray([.. request.Settings.Select(setting => (JsonNode)setting)]),
        };
        DurableFile.Replace(Path.Combine(temporary, OriginFile), ConfigurationJson.Format(origin) + "\n");
    }

    /// <summary>Whole, or not there.</summary>
    private static void Write(string directory, Action<string> fill)
    {
        string place = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        string temporary = $"{place}.tmp-{Environment.ProcessId}";
        if (Path.Exists(place) && (File.Exists(place) || System.IO.Directory.EnumerateFileSystemEntries(place).Any()))
        {
            string resume = File.Exists(Path.Combine(place, OriginFile))
                ? $", or go on with that branch: {RecordedRun.ResumeCommand(directory)}"
                : "";
            throw new UserException($"{directory}: something is there already; give another directory to --run{resume}");
        }
        try
        {
            System.IO.Directory.CreateDirectory(temporary);
            fill(temporary);
            if (System.IO.Directory.Exists(place)) System.IO.Directory.Delete(place);
            System.IO.Directory.Move(temporary, place);
            DurableFile.FlushDirectory(Path.GetDirectoryName(place)!);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{directory}: the branch cannot be written: {error.Message}", error);
        }
        finally
        {
            if (System.IO.Directory.Exists(temporary)) System.IO.Directory.Delete(temporary, recursive: true);
        }
    }
}
