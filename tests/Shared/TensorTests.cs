using System.Reflection;
using Xunit.v3;
using static TorchSharp.torch;

// Thread counts, seeds and the count of live tensors belong to the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
[assembly: AssemblyFixture(typeof(Trainer.Tests.OneThread))]
[assembly: Trainer.Tests.Seeded]

namespace Trainer.Tests;

/// <summary>With tensors this small, threads would only wait for each other.</summary>
public sealed class OneThread
{
    public OneThread() => set_num_threads(1);
}

/// <summary>Every test draws the same numbers, alone or after others.</summary>
public sealed class SeededAttribute : BeforeAfterTestAttribute
{
    private static readonly long Seed = long.Parse(Environment.GetEnvironmentVariable("TRAINER_TEST_SEED") ?? "1337");

    public override void Before(MethodInfo methodUnderTest, IXunitTest test) => manual_seed(Seed);
}
