using FsCheck;

namespace Trainer.Data.Tests;

/// <summary>Runs properties; a failure shows the shrunk example.</summary>
internal static class Properties
{
    public static void Holds(this Property property, int cases = 100) =>
        property.Check(Config.QuickThrowOnFailure.WithQuietOnSuccess(true).WithMaxTest(cases));
}
