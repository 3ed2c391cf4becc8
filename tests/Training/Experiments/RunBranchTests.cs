using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Experiments;

namespace Trainer.Training.Tests.Experiments;

public sealed class RunBranchTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public RunBranchTests() => tiny.Train();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Without_other_settings_it_equals_its_original_bit_for_bit()
    {
        (BranchRequest request, RunBranch branch) = Branch("twin", 5);
        Train(branch);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "config.json"])
            Assert.Equal(Bytes("run", 12, file), Bytes("twin", 12, file));
        BranchComparison comparison = BranchComparison.Of(request, branch, Assert.Fail);
        Assert.Equal([8, 12], comparison.Losses.Select(loss => loss.Step));
        Assert.All(comparison.Losses, loss => Assert.Equal(0, loss.Difference));
        Assert.Null(comparison.Advice);
    }

    [Fact]
    public void It_begins_with_the_records_and_the_best_checkpoint_of_its_original_and_says_where_it_comes_from()
    {
        (_, RunBranch branch) = Branch("twin", 5, "optimizer.learningRate=1e-3");

        Assert.Equal([4, 5], tiny.Store("twin").Steps);
        Assert.Equal(5, tiny.Store("twin").NewestWhole(Assert.Fail));
        Assert.All(File.ReadLines(Path.Combine(branch.Directory, "metrics.jsonl")),
            line => Assert.InRange((long)JsonNode.Parse(line)!["step"]!, 1, 5));
        Assert.Equal($"branch of {tiny.RunPath()} at step 5\n  optimizer.learningRate was 0.003 and is 0.001 now", branch.Origin);
        JsonNode origin = JsonNode.Parse(File.ReadAllText(Path.Combine(branch.Directory, RunBranch.OriginFile)))!;
        Assert.Equal((tiny.RunPath(), 5L), ((string)origin["run"]!, (long)origin["step"]!));
    }

    [Fact]
    public void Another_setting_makes_another_run_which_can_be_stopped_and_resumed()
    {
        (BranchRequest request, RunBranch branch) = Branch("twin", 5, "optimizer.learningRate=1e-3");
        Train(branch);
        (_, RunBranch stopped) = Branch("stopped", 5, "optimizer.learningRate=1e-3");
        Train(stopped, until: 9);
        Train(stopped);

        Assert.Equal(Bytes("twin", 12, "model.safetensors"), Bytes("stopped", 12, "model.safetensors"));
        Assert.NotEqual(Bytes("run", 12, "model.safetensors"), Bytes("twin", 12, "model.safetensors"));
        Assert.All(BranchComparison.Of(request, branch, Assert.Fail).Losses, loss => Assert.NotEqual(0, loss.Difference));
    }

    [Fact]
    public void What_gives_the_weights_their_meaning_cannot_change()
    {
        string message = Assert.Throws<UserException>(() => Branch("twin", 5, "model.layers=3", "optimizer.learningRate=1e-3")).Message;

        Assert.Contains("model.layers was 2 and is 3 now", message);
        Assert.DoesNotContain("learningRate", message);
        Assert.Contains("optimizer.learnigRate: unknown key",
            Assert.Throws<ConfigurationException>(() => Branch("twin", 5, "optimizer.learnigRate=1")).Message);
        Assert.False(Directory.Exists(tiny.RunPath("twin")));
    }

    [Fact]
    public void A_directory_that_is_taken_is_left_alone()
    {
        Branch("twin", 5);

        Assert.Equal($"{tiny.RunPath("twin")}: something is there already; give another directory to --run, or go on with that branch: " +
            $"train {tiny.RunPath("twin")}/config.json --run {tiny.RunPath("twin")} --resume",
            Assert.Throws<UserException>(() => Branch("twin", 10)).Message);
    }

    [Fact]
    public void An_original_without_later_evaluations_is_told_how_it_gets_some()
    {
        Assert.StartsWith($"{tiny.RunPath()}: all 12 steps are done at step 12",
            Assert.Throws<UserException>(() => Branch("none", 12)).Message);
        (BranchRequest request, RunBranch branch) = Branch("longer", 12, "training.steps=16");
        Train(branch);

        BranchComparison comparison = BranchComparison.Of(request, branch, Assert.Fail);
        Assert.Empty(comparison.Losses);
        Assert.EndsWith($"--run {tiny.RunPath()} --resume --set training.steps=24", comparison.Advice);
    }

    [Theory]
    [InlineData("runs/x", "runs/x-step-5-learningRate-1e-3-keep-9", "optimizer.learningRate=1e-3", "checkpoint.keep=9")]
    [InlineData("x/", "x-step-5")]
    [InlineData("/a/x", "/a/x-step-5-betas--0.8-0.9-", "optimizer.betas=[0.8,0.9]")]
    public void Its_name_tells_run_step_and_settings(string run, string name, params string[] settings) =>
        Assert.Equal(name, RunBranch.DefaultDirectory(new BranchRequest(run, 5, settings)));

    private (BranchRequest Request, RunBranch Branch) Branch(string name, long step, params string[] settings)
    {
        BranchRequest request = new(tiny.RunPath(), step, settings, tiny.RunPath(name));
        return (request, RunBranch.Create(request));
    }

    private void Train(RunBranch branch, long? until = null)
    {
        using StopSignal never = new();
        TrainingSession.Run(
            new TrainingRequest(branch.Recipe, branch.Directory, Resume: true, Path.Combine(tiny.Root, "datasets")) { Until = until },
            run => RunMonitor.Open(branch.Recipe.Monitoring, run, branch.Directory, new RecordingSink()), new Progress<string>(), never);
    }

    private byte[] Bytes(string run, long step, string file) => File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(step), file));
}
