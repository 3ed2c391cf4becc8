using Trainer.Configuration;

namespace Trainer.Serving.Tests;

public class ApiExceptionTests
{
    [Fact]
    public void A_failure_is_told_as_the_server_s_and_a_user_s_error_in_its_own_words()
    {
        ApiException known = ApiException.Of(new UserException("its training diverged"));
        ApiException other = ApiException.Of(new InvalidOperationException("no such sequence"));

        Assert.Equal((500, 500), (known.Status, other.Status));
        Assert.Equal(new ErrorDetail("its training diverged", "server_error", null, null), known.Body.Error);
        Assert.Equal(new ErrorDetail("the server failed: no such sequence", "server_error", null, null), other.Body.Error);
    }
}
