using System.Text.Json;
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Kernels;
using Trainer.Tests;
using Trainer.Training.Reinforcement;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Reinforcement;

/// <summary>Compares with TRL's arithmetic in PyTorch (Fixtures/make_grpo.py): ten updates on the same answers.</summary>
public sealed class PolicyLossTests
{
    private static readonly JsonElement Fixture = JsonDocument.Parse(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Reinforcement", "Fixtures", "grpo.json"))).RootElement;

    public static TheoryData<string> Cases =>
        [.. Fixture.GetProperty("cases").EnumerateArray().Select(each => each.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Ten_updates_are_those_of_TRL(string name)
    {
        JsonElement wanted = Fixture.GetProperty("cases").EnumerateArray().Single(each => each.GetProperty("name").GetString() == name);
        GrpoOptions options = JsonSerializer.Deserialize<GrpoOptions>(
            $$"""
            { "klWeight": {{wanted.GetProperty("klWeight")}}, "clip": {{wanted.GetProperty("clip")}},
              "temperature": {{wanted.GetProperty("temperature")}}, "maximumTokens": {{Fixture.GetProperty("maximumTokens")}} }
            """, JsonSerializerOptions.Web)! with
        {
            ClipHigher = wanted.GetProperty("clipHigher") is { ValueKind: JsonValueKind.Number } higher ? higher.GetDouble() : null,
            Advantage = Enum.Parse<AdvantageKind>(wanted.GetProperty("advantage").GetString()!, ignoreCase: true),
            Average = Enum.Parse<PolicyAverage>(wanted.GetProperty("average").GetString()!, ignoreCase: true),
        };
        PolicyLoss loss = new(options, new(options, null!, 0), tokens: 6);
        using DisposeScope scope = NewDisposeScope();
        Tensor table = Table("table");
        Batch batch = Sampled(options, wanted);
        batch = batch with
        {
            Samples = batch.Samples! with
            {
                OldLogProbabilities = LogProbabilities(table, batch, options),
                ReferenceLogProbabilities = options.HasReference ? LogProbabilities(Table("reference"), batch, options) : null,
            },
        };
        loss.Begin(null!, new([batch]));
        double rate = Fixture.GetProperty("rate").GetDouble();

        foreach (JsonElement step in wanted.GetProperty("steps").EnumerateArray())
        {
            Tensor policy = table.detach().requires_grad_();
            (Tensor sum, Tensor figures) = loss.Loss(batch, Terms(policy, batch, options));
            double[] means = [.. figures.div(loss.Count(batch)).data<float>().ToArray()];
            Tensor mean = sum.div(loss.Count(batch)), gradient = Differentiation.Grad([mean], [policy])[0]!;

            Assert.Equal(step.GetProperty("loss").GetDouble(), mean.ToDouble(), 1e-5);
            Assert.Equal(step.GetProperty("clipped").GetDouble(), means[4], 1e-5);
            if (options.HasReference) Assert.Equal(step.GetProperty("kl").GetDouble(), means[5], 1e-5);
            TensorAssert.Equal(
                [.. step.GetProperty("gradient").EnumerateArray().Select(each => each.GetSingle())],
                gradient.to(ScalarType.Float32).flatten().data<float>().ToArray(), 1e-5);
            table = table.sub(gradient.mul(rate));
        }
    }

    [Theory]
    [InlineData(PolicyAverage.Tokens)]
    [InlineData(PolicyAverage.Sequences)]
    [InlineData(PolicyAverage.Constant)]
    public void Parts_of_a_step_add_up(PolicyAverage average)
    {
        GrpoOptions options = new() { Average = average, MaximumTokens = 5 };
        PolicyLoss loss = new(options, new(options, null!, 0), tokens: 6);
        using DisposeScope scope = NewDisposeScope();
        Tensor table = Table("table");
        Batch whole = Sampled(options, Fixture.GetProperty("cases")[0]);
        float[] reference = LogProbabilities(Table("reference"), whole, options);
        whole = whole with { Samples = whole.Samples! with { ReferenceLogProbabilities = reference } };
        Batch[] parts = [whole.Part(0, 3), whole.Part(1, 3), whole.Part(2, 3)];
        loss.Begin(null!, new(parts));

        (Tensor sum, Tensor figures) = loss.Loss(whole, Terms(table, whole, options));
        (Tensor Loss, Tensor Figures)[] each = [.. parts.Select(part => loss.Loss(part, Terms(table, part, options)))];

        Assert.Equal(loss.Count(whole), parts.Sum(loss.Count));
        Assert.Equal(sum.ToDouble(), each.Sum(part => part.Loss.ToDouble()), 1e-6);
        TensorAssert.Equal(
            figures.data<float>().ToArray(), stack([.. each.Select(part => part.Figures)]).sum(0L).data<float>().ToArray(), 1e-5);
        double[] means = [.. figures.div(loss.Count(whole)).data<float>().ToArray()];
        Assert.Equal((2.75 / 8, 2 / 8.0, 21 / 8.0), (means[0], means[1], means[2]));
    }

    [Theory]
    [InlineData("exact", "46", "46", 1)]
    [InlineData("exact", "", "46", 0)]
    [InlineData("exact", "46 ", "46", 0)]
    [InlineData("prefix", "46", "46", 1)]
    [InlineData("prefix", "", "", 1)]
    [InlineData("prefix", "45", "46", 0.5)]
    [InlineData("prefix", "4612", "46", 0.5)]
    [InlineData("prefix", "", "46", 0)]
    [InlineData("edit-distance", "46", "46", 1)]
    [InlineData("edit-distance", "", "", 1)]
    [InlineData("edit-distance", "", "46", 0)]
    [InlineData("edit-distance", "kitten", "sitting", 1 - 3.0 / 7)]
    [InlineData("edit-distance", "346", "46", 1 - 1.0 / 3)]
    public void Rewards_are_what_they_say(string type, string answer, string wanted, double reward)
    {
        RewardOptions options = JsonSerializer.Deserialize<RewardOptions>($$"""{ "type": "{{type}}" }""", JsonSerializerOptions.Web)!;
        Assert.Equal(reward, options.Score(answer, wanted), 1e-12);
    }

    private static Tensor Table(string name) => tensor(
        [.. Fixture.GetProperty(name).EnumerateArray().SelectMany(row => row.EnumerateArray()).Select(each => each.GetDouble())], [6, 6]);

    private static Batch Sampled(GrpoOptions options, JsonElement wanted)
    {
        int group = Fixture.GetProperty("group").GetInt32();
        int[][] prompts = Ids("prompts"), answers = Ids("answers");
        double[] rewards = [.. Fixture.GetProperty("rewards").EnumerateArray().Select(each => each.GetDouble())];
        double[] advantages = [.. rewards.Chunk(group).SelectMany(some => options.Advantages(some))];
        Assert.Equal(
            wanted.GetProperty("advantages").EnumerateArray().Select(each => each.GetSingle()), advantages.Select(each => (float)each),
            (a, b) => Math.Abs(a - b) < 1e-6);
        return SampledRow.Collate([.. answers.Select((answer, row) => new SampledRow(
            prompts[row / group], answer, rewards[row], advantages[row], rewards[row] == 1))]);
    }

    private static int[][] Ids(string name) => [.. Fixture.GetProperty(name).EnumerateArray().Select(
        row => row.EnumerateArray().Select(id => id.GetInt32()).ToArray())];

    private static Tensor Terms(Tensor table, Batch batch, GrpoOptions options)
    {
        int[] places = Places(batch);
        return PolicyLoss.Terms(
            table.index_select(0, tensor([.. places.Select(place => batch.Inputs[place])])),
            tensor([.. places.Select(place => batch.Targets[place])]), options.Temperature);
    }

    private static float[] LogProbabilities(Tensor table, Batch batch, GrpoOptions options)
    {
        float[] all = new float[batch.Targets.Length];
        double[] known = Terms(table, batch, options).select(0, 0).contiguous().data<double>().ToArray();
        foreach ((int i, int place) in Places(batch).Index()) all[place] = (float)known[i];
        return all;
    }

    private static int[] Places(Batch batch) =>
        [.. Enumerable.Range(0, batch.Targets.Length).Where(place => batch.Targets[place] != Batch.Ignored)];
}
