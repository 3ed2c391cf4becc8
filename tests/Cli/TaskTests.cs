using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary><c>evaluate --task</c> with the tasks that come along, as a user runs it.</summary>
public sealed class TaskTests : IDisposable
{
    private readonly Workspace workspace = new();

    public TaskTests(RecipeDatasets datasets)
    {
        Directory.CreateSymbolicLink(workspace.PathOf("datasets"), datasets.Folder);
        File.WriteAllText(workspace.PathOf("text.txt"), Workspace.Words(10_000));
        workspace.Succeeds("train", "small.json", "--run", "run", "--set", "training.steps=1", "tokenizer.type=byte", "model.contextLength=2048",
            "model.dim=8", "model.layers=1", "evaluation.batches=1", "training.batchSize=1", "training.microBatchSize=1");
    }

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Tasks_of_what_the_SDK_brings_and_made_ones_need_no_data()
    {
        var outcome = workspace.Succeeds("evaluate", "run", "--task", "dotnet_summary", "dotnet_cloze", "dotnet_language", "dotnet_translation",
            "synthetic_copy", "arithmetic", "--limit", "2", "--shots", "1", "--json", "tasks.json");
        var tasks = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("tasks.json"))).RootElement.GetProperty("tasks").EnumerateArray().ToArray();
        Assert.Equal(3 + 14 + 1 + 7, tasks.Length);
        Assert.All(tasks, task => Assert.Equal(1, task.GetProperty("shots").GetInt32()));
        var group = tasks.Single(task => task.GetProperty("task").GetString() == "dotnet_translation");
        Assert.Equal((26, 13), (group.GetProperty("questions").GetInt32(), group.GetProperty("tasks").GetArrayLength()));
        Assert.Matches(@"dotnet_language +1 +2  acc +\d\.\d{4} +\d\.\d{4}\n +mcc ", outcome.Output);
        Assert.Contains("the questions of these tasks are made here; leave it out",
            workspace.Run("evaluate", "run", "--task", "arithmetic", "--data", "x.jsonl").Error);
    }

    [Fact]
    public void RULER_prints_a_row_for_each_task_and_a_column_for_each_length()
    {
        var outcome = workspace.Succeeds("evaluate", "run", "--task", "ruler", "--length", "1200,1900", "--limit", "1", "--json", "ruler.json");
        Assert.Matches(@"task +1,200 +1,900\n", outcome.Output);
        foreach (var name in new[] { "niah_single", "niah_multikey", "niah_multikey_2", "niah_multivalue", "niah_multiquery", "vt", "cwe", "fwe" })
            Assert.Matches($@"\nruler_{name} +\d\.\d{{3}} ± \d\.\d{{3}} +\d\.\d{{3}} ± \d\.\d{{3}}\n", outcome.Output);
        Assert.Matches(@"\nruler +\d\.\d{3} ± \d\.\d{3} ", outcome.Output);
        var tasks = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("ruler.json"))).RootElement.GetProperty("tasks").EnumerateArray().ToArray();
        Assert.Equal([1200, 1900], tasks.TakeLast(2).Select(task => task.GetProperty("length").GetInt32()));
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "ruler"), 1, "needs --length");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "ruler", "--length", "4096"), 1,
            "--length is 4096, and the model reads 2048 tokens");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "arithmetic", "--length", "512"), 1, "--length is for the tasks of RULER");
    }

    [Fact]
    public void Benchmarks_are_listed_and_say_which_data_they_need()
    {
        var list = workspace.Succeeds("evaluate", "--task", "list").Output;
        Assert.Matches(@"(?m)^hellaswag +--data +.*Rowan/hellaswag$", list);
        Assert.Matches(@"(?m)^mmlu +--data +57 subjects in 4 groups .*: mmlu_stem, mmlu_other, mmlu_social_sciences, mmlu_humanities$", list);
        Assert.Matches(@"(?m)^ruler +--length +", list);
        BadInputTests.Fails(workspace.Run("evaluate"), 2, "Required argument missing for command: 'evaluate'.");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "hellaswag"), 1, "task hellaswag needs its data: give --data with a file or " +
            "folder of Rowan/hellaswag, split validation, as JSON lines or Parquet; they are at huggingface.co/datasets/Rowan/hellaswag");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "hellaswig"), 1, "there is no task and no file \"hellaswig\"");

        File.WriteAllText(workspace.PathOf("validation.jsonl"), """
            {"activity_label": "Baking", "ctx_a": "A man", "ctx_b": "he", "endings": ["eats.", "[x] runs.", "sits.", "is."], "label": "1"}
            {"activity_label": "Baking", "ctx_a": "A man", "ctx_b": "", "endings": ["eats.", "runs."], "label": 4}
            """);
        var outcome = workspace.Succeeds("evaluate", "run", "--task", "hellaswag", "--data", ".", "--limit", "1");
        Assert.Matches(@"hellaswag +0 +1  acc +[01]\.0000 +0\.0000\n +acc_norm", outcome.Output);
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--task", "hellaswag", "--data", "."), 1,
            "validation.jsonl, line 2: the answer 4 is no choice; give its number, 0 to 1, or its text");
    }
}
