using System.Text.RegularExpressions;
using Trainer.Configuration;
using Trainer.Data.Records;

namespace Trainer.Evaluation.Tasks;

/// <summary>Finds the records of tasks among the files that a user has.</summary>
internal static class TaskData
{
    public static IReadOnlyList<DataRecord> Questions(TaskDefinition task, TaskOptions options) =>
        DataRecord.ReadAll(Find(task, options.Data.Count > 0 ? options.Data : task.Data, task.AskedSplit));

    /// <summary>Where examples come from: the task's own file for them, another split of the folder, or the questions.</summary>
    public static IReadOnlyList<DataRecord> Examples(TaskDefinition task, TaskOptions options, IReadOnlyList<DataRecord> questions) =>
        task.FewshotData.Count > 0 ? DataRecord.ReadAll(Find(task, task.FewshotData, task.ExampleSplit))
            : task.ExampleSplit == task.AskedSplit ? questions
            : DataRecord.ReadAll(Find(task, options.Data.Count > 0 ? options.Data : task.Data, task.ExampleSplit, areExamples: true));

    private static IReadOnlyList<string> Find(TaskDefinition task, IReadOnlyList<string> paths, string? split, bool areExamples = false)
    {
        if (paths.Count == 0)
            throw new UserException(task.DatasetPath is null
                ? $"task {task.Task} has no data; give --data with a file of its records, or name one in the task as data"
                : $"task {task.Task} needs its data: give --data with a file or folder of {Name(task)}, split {split}, as JSON lines or " +
                    $"Parquet; they are at huggingface.co/datasets/{task.DatasetPath}");
        if (areExamples && paths.All(path => File.Exists(path)))
            throw new UserException($"task {task.Task}: examples come from the split {split}, and --data names files, not a folder with " +
                "all splits; name the folder, or ask without examples: --shots 0");
        return [.. paths.SelectMany(path => Find(task, path, split))];
    }

    private static IEnumerable<string> Find(TaskDefinition task, string path, string? split)
    {
        if (File.Exists(path)) return [path];
        // A folder of several data sets has one for each.
        string inner = Path.Combine(path, (task.DatasetPath ?? task.Task).Split('/')[^1]);
        if (Directory.Exists(inner)) path = inner;
        IReadOnlyList<string> all = DataRecord.Files(path);
        if (all is [var single] && single == path)
            throw new UserException($"{path}: there is no such file or folder; it is to have the data of task {task.Task}");
        string[] files = [.. all.Where(DataRecord.IsKnown)];
        if (files.Length == 0) throw new UserException($"{path} has no JSON lines and no Parquet; task {task.Task} reads those");
        if (!Directory.Exists(path) || split is null) return files;
        string[] found = OfPart(task, path, files.Where(file => IsOf(file, split)));
        return found.Length > 0 ? found : throw new UserException(
            $"{path} has no file of {Name(task)}, split {split}, which task {task.Task} asks (such as {Example(task, split)}); it has " +
            string.Join(", ", files.Take(8).Select(file => Path.GetRelativePath(path, file))) + (files.Length > 8 ? ", …" : ""));
    }

    // Data sets of several parts have a folder for each, or files that begin with its name.
    private static string[] OfPart(TaskDefinition task, string path, IEnumerable<string> files)
    {
        (string File, string[] Names)[] named =
            [.. files.Select(file => (file, Path.GetRelativePath(path, file).Split('/', '\\')))];
        if (task.DatasetName is not { } part) return [.. named.Select(each => each.File)];
        string[] own = [.. named.Where(each => each.Names[..^1].Contains(part, StringComparer.OrdinalIgnoreCase))
            .Select(each => each.File)];
        return own.Length > 0 ? own : [.. named.Where(each => each.Names.Length == 1 || each.Names is ["data" or "default", _])
            .Select(each => each.File)];
    }

    private static bool IsOf(string file, string split) =>
        Regex.IsMatch(Path.GetFileName(file), $"^{Regex.Escape(split)}([-_.]|$)", RegexOptions.IgnoreCase);

    private static string Name(TaskDefinition task) =>
        task.DatasetName is null ? $"{task.DatasetPath ?? task.Task}" : $"{task.DatasetPath}, part {task.DatasetName}";

    private static string Example(TaskDefinition task, string split) =>
        (task.DatasetName is null ? "" : $"{task.DatasetName}/") + $"{split}-00000-of-00001.parquet or {split}.jsonl";
}
