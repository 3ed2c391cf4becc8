using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Training.Experiments;

namespace Trainer.Training.Tests.Experiments;

public sealed class RunVerificationTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public RunVerificationTests() => tiny.Train();

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(5, 12, 5, 7, new long[] { 8, 10, 12 })]
    [InlineData(7, 9, 5, 4, new long[] { 8 })]
    [InlineData(0, 3, 0, 3, new long[0])]
    public void A_run_equals_itself(long after, long through, long start, int records, long[] checkpoints)
    {
        VerificationReport report = Verify(after, through);
        Assert.Equal((start, through, records), (report.Start, report.End, report.Records));
        Assert.Equal(checkpoints, report.Checkpoints);
        Assert.Empty(report.Differences);
    }

    [Fact]
    public void One_flipped_bit_of_a_weight_is_found_and_named()
    {
        Flip(10, CheckpointFiles.Model);

        VerificationReport report = Verify(5, 12);

        Assert.Equal(12, report.End);
        Assert.Equal(2, report.Differences.Count);
        VerificationDifference weight = report.Differences[0];
        Assert.Equal(10, weight.Step);
        Assert.StartsWith("model.safetensors: ", weight.What);
        Assert.StartsWith("1 of ", weight.Detail);
        Assert.Contains(" numbers differ, by up to ", weight.Detail);
        Assert.Equal("manifest.json", report.Differences[1].What);
        Assert.Contains("its SHA-256 is ", report.Differences[1].Detail);
        Assert.Empty(report.LikelyCauses);
    }

    [Fact]
    public void One_flipped_bit_of_the_optimizer_is_found_too()
    {
        Flip(8, CheckpointFiles.Optimizer);
        Assert.StartsWith("optimizer.safetensors: ", Verify(5, 12).Differences[0].What);
    }

    [Fact]
    public void A_damaged_checkpoint_is_no_place_to_begin()
    {
        Flip(5, CheckpointFiles.Model);
        Assert.Contains("its SHA-256 is ", Assert.Throws<UserException>(() => Verify(5, 12)).Message);
    }

    [Fact]
    public void A_loss_that_was_not_computed_ends_the_comparison_and_the_logged_machine_is_compared()
    {
        string metrics = Path.Combine(tiny.RunPath(), "metrics.jsonl"), log = Path.Combine(tiny.RunPath(), "log.txt");
        File.WriteAllLines(metrics, File.ReadAllLines(metrics).Select(line =>
        {
            JsonObject record = JsonNode.Parse(line)!.AsObject();
            if ((long)record["step"]! == 7 && record["loss"] is { } loss) record["loss"] = Math.BitIncrement((double)loss);
            return record.ToJsonString();
        }));
        File.WriteAllText(log, File.ReadAllText(log).Replace("engine: libtorch ", "engine: libtorch 1."));

        VerificationReport report = Verify(5, 12);

        Assert.Equal(7, report.End);
        VerificationDifference difference = Assert.Single(report.Differences);
        Assert.Equal((7, "loss"), (difference.Step, difference.What));
        Assert.StartsWith("engine: libtorch 1.", Assert.Single(report.LikelyCauses));
    }

    [Fact]
    public void Verifying_changes_nothing_in_the_run()
    {
        string[] Files() => [.. Directory.EnumerateFiles(tiny.RunPath(), "*", SearchOption.AllDirectories).Order()
            .Select(path => $"{path} {File.GetLastWriteTimeUtc(path):O} {new FileInfo(path).Length}")];
        string[] before = Files();
        Verify(5, 12);
        Assert.Equal(before, Files());
    }

    [Fact]
    public void Steps_that_the_run_did_not_take_are_refused()
    {
        Assert.Contains("it is recorded up to step 12", Assert.Throws<UserException>(() => Verify(5, 13)).Message);
        Assert.Contains("7:7 has no steps", Assert.Throws<ConfigurationException>(() => Verify(7, 7)).Message);
    }

    [Fact]
    public void Steps_without_a_record_or_a_checkpoint_are_refused()
    {
        string metrics = Path.Combine(tiny.RunPath(), "metrics.jsonl");
        File.WriteAllLines(metrics, File.ReadAllLines(metrics).Where(line => (long)JsonNode.Parse(line)!["step"]! is not (6 or 7)));
        Assert.Contains("of steps 6 to 7 none has a record", Assert.Throws<UserException>(() => Verify(5, 7)).Message);
        Assert.Empty(Verify(5, 8).Differences);
    }

    [Fact]
    public void Steps_with_several_recipes_are_verified_one_by_one()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 14, GradientClip = 0.5 } };
        tiny.Train(resume: true);

        string message = Assert.Throws<UserException>(() => Verify(10, 14)).Message;

        Assert.Contains("training.gradientClip was 1 and is 0.5 now", message);
        Assert.EndsWith("--steps 10:12, then --steps 12:14", message);
        Assert.Empty(Verify(12, 14).Differences);
    }

    [Fact]
    public void A_teacher_that_came_later_is_another_recipe()
    {
        tiny.Train("teacher");
        tiny.Recipe = tiny.Recipe with
        {
            Training = tiny.Recipe.Training with { Steps = 14 },
            Distillation = new() { Teacher = tiny.RunPath("teacher") },
        };
        tiny.Train(resume: true);

        Assert.Contains("distillation.teacher was absent and is ", Assert.Throws<UserException>(() => Verify(10, 14)).Message);
    }

    private VerificationReport Verify(long after, long through) => RunVerification.Run(
        new VerificationRequest(tiny.RunPath(), after, through, Path.Combine(tiny.Root, "datasets")), new Progress<string>());

    /// <summary>Flips the lowest bit of the last number's mantissa.</summary>
    private void Flip(long step, string file)
    {
        string path = Path.Combine(tiny.Store().DirectoryOf(step), file);
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^4] ^= 1;
        File.WriteAllBytes(path, bytes);
    }
}
