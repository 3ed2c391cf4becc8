using System.Text.Json;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Evaluation.Preferences;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Tests;
using Trainer.Training.Preferences;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Preferences;

/// <summary>The arithmetic of the losses, as PyTorch has it: Fixtures/make_preference_losses.py writes what is expected.</summary>
public sealed class PreferenceLossTests
{
    private static readonly Fixture Expected = JsonSerializer.Deserialize<Fixture>(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Preferences/Fixtures/preference_losses.json")), JsonSerializerOptions.Web)!;

    public static TheoryData<int> Cases => [.. Enumerable.Range(0, Expected.Cases.Count)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Losses_gradients_and_figures_are_those_of_PyTorch(int number)
    {
        Case expected = Expected.Cases[number];
        using DisposeScope scope = NewDisposeScope();
        Tensor policy = Pairs(Expected.Policy).requires_grad_();

        LossTerms terms = Loss(expected.Options).Terms(new AnswerScores(policy, Pairs(Expected.Tokens)), Pairs(Expected.Reference));

        long count = expected.Options.GetProperty("type").GetString() == "kto" ? policy.numel() : policy.size(0);
        Tensor mean = terms.Objective.div(count);
        Tensor gradient = Differentiation.Grad([mean], [policy])[0]!;
        Assert.Equal(expected.Loss, mean.ToDouble(), 1e-5);
        TensorAssert.Equal([.. expected.Gradients.Select(value => (float)value)], gradient.data<float>().ToArray(), 1e-5);
        if (expected.Figures is { } figures)
            TensorAssert.Equal([.. figures.Select(value => (float)value)], terms.Figures!.div(count).data<float>().ToArray(), 1e-5);
    }

    [Fact]
    public void An_answer_that_is_not_there_has_no_part_in_the_loss_of_kto()
    {
        using DisposeScope scope = NewDisposeScope();
        PreferenceLoss loss = Loss(JsonSerializer.SerializeToElement(new { type = "kto", beta = 0.3 }));
        Tensor reference = tensor(new float[] { -3, 0 }, [1, 2]);
        LossTerms Of(float absent) => loss.Terms(
            new AnswerScores(tensor(new[] { -2, absent }, [1, 2]), tensor(new float[] { 4, 0 }, [1, 2])), reference);

        Assert.Equal(1 - 1 / (1 + Math.Exp(-0.3)), Of(0).Objective.ToDouble(), 1e-6);
        Assert.Equal(Of(0).Objective.ToDouble(), Of(-9).Objective.ToDouble());
    }

    [Fact]
    public void An_answer_that_is_certain_has_finite_odds()
    {
        using DisposeScope scope = NewDisposeScope();
        PreferenceLoss loss = Loss(JsonSerializer.SerializeToElement(new { type = "orpo" }));
        Tensor policy = tensor(new float[] { 0, -1 }, [1, 2]).requires_grad_();

        Tensor objective = loss.Terms(new AnswerScores(policy, ones(1, 2)), null).Objective;

        Assert.True(double.IsFinite(objective.ToDouble()));
        Assert.True(Differentiation.Grad([objective], [policy])[0]!.isfinite().all().ToBoolean());
    }

    private static Tensor Pairs(IReadOnlyList<double> values) =>
        tensor([.. values.Select(value => (float)value)], [values.Count / 2, 2]);

    // The reference's scores are given.
    private static PreferenceLoss Loss(JsonElement options) =>
        ConfigurationJson.Deserialize<PreferenceOptions>(options.GetRawText(), "test").Build(reference: null);

    private sealed record Fixture(
        IReadOnlyList<double> Tokens, IReadOnlyList<double> Policy, IReadOnlyList<double> Reference, IReadOnlyList<Case> Cases);

    private sealed record Case(
        JsonElement Options, double Loss, IReadOnlyList<double> Gradients, IReadOnlyList<double>? Figures);
}
