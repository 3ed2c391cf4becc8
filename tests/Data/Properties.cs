using FsCheck;

namespace Trainer.Data.Tests;

/// <summary>Runs properties: silent when they hold, with the shrunk example when not.</summary>
internal static class Properties
{
    public static void Holds(this Property property, int cases = 100) =>
        property.Check(Config.QuickThrowOnFailure.WithQuietOnSuccess(true).WithMaxTest(cases));
}
