using Trainer.Tests;

namespace Trainer.Training.Tests.Losses;

/// <summary>A number that a loss reads makes the host wait for all that a GPU has to do, which no test on a CPU can measure.</summary>
public sealed class HostReadsTests
{
    private const string Waits = @"\.nonzero\(|\.item<|\.To(Single|Double|Int64|Boolean)\(|\.to\([\w.]*device\)";

    [Theory]
    [InlineData("Training/Losses/Distillation.cs")]
    [InlineData("Inference/TargetPlaces.cs")]
    [InlineData("Training/Losses/TeacherCache.cs")]
    [InlineData("Training/Losses/TopTokens.cs")]
    [InlineData("Evaluation/Preferences/AnswerScores.cs")]
    [InlineData("Training/Preferences/Dpo.cs")]
    [InlineData("Training/Preferences/Kto.cs")]
    [InlineData("Training/Preferences/Orpo.cs")]
    [InlineData("Training/Preferences/PreferenceLoss.cs")]
    [InlineData("Training/Preferences/ReferenceModel.cs")]
    [InlineData("Training/Reinforcement/PolicyLoss.cs")]
    public void No_loss_waits_for_what_it_computes_or_copies(string file) =>
        Assert.DoesNotMatch(Waits, File.ReadAllText(Repository.PathOf("src", file)));
}
